package servers

import (
	"fmt"
	"strings"
)

// nsdServer is the part of nsd.conf that is the same for every NSD here, with options more.
func nsdServer(d *daemon, options ...string) string {
	return fmt.Sprintf(`server:
  ip-address: %[1]s@%[2]d
  username: ""
  chroot: ""
  zonesdir: %[3]q
  database: ""
  pidfile: "nsd.pid"
  xfrdfile: "xfrd.state"
  zonelistfile: "zone.list"
  xfrdir: %[3]q
  cookie-secret-file: ""
  server-count: 1
  do-ip6: no
  %[4]s
remote-control:
  control-enable: no
`, d.addr.Addr(), d.addr.Port(), d.dir, strings.Join(options, "\n  "))
}
