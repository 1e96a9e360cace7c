// Package metrics shows as Prometheus metrics what people ask at night: is each mail server safe, what does its
// rollover wait for and until when, will the certificate last that long, and what do name servers and mail
// servers answer.
//
// What stands in the status of MailDomains is read from the cache at the time of the scrape (Status): an
// object that went leaves nothing behind, and nothing is older than the status. What happens is counted when
// it does (Events). Labels are names of the spec and words of enumerations alone, so that no name server and
// no mail server can add a series.
package metrics
