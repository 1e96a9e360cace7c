// Package docs holds the pages that tools print parts of, so that these say the same as the pages do.
package docs

import "embed"

// Pages are those with a section for each word of the API: reasons of conditions, codes of findings, alerts, visibilities, and
// whatever else status and events say.
//
//go:embed troubleshooting.md findings.md alerts.md rollover.md words.md
var Pages embed.FS
