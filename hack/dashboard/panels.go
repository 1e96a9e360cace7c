package main

// This file says what is shown.

const (
	day  = 24 * 3600.0
	docs = "https://github.com/dane-operator/dane-operator/blob/main/docs/"
)

// Several replicas show the same, so that every query takes the least or the most of them. What nothing is counted of may
// be absent (docs/metrics.md): such a query is 0 while anything of the metric is there. The selectors are those
// of the variables.
const (
	domain = `namespace=~"$namespace",maildomain=~"$maildomain"`
	zone   = `namespace=~"$namespace"`
	host   = "by (namespace, maildomain, host)"
)

func assemble() dashboard {
	var p page
	mail(&p)
	rollovers(&p)
	zones(&p)
	reports(&p)
	operator(&p)
	return dashboard{
		UID: "dane-operator", Title: "dane-operator", Tags: []string{"dane", "mail", "dns"},
		Description:   "Mail servers whose DANE TLSA records dane-operator keeps: whether mail arrives, what rollovers wait for, how the zones are, what senders report, and how the operator is.",
		SchemaVersion: 39, Editable: true, GraphTooltip: 1, Refresh: "1m", Timezone: "browser",
		Time:       timeRange{From: "now-24h", To: "now"},
		Templating: templating{List: variables()},
		Links:      []link{{Title: "What the metrics mean", URL: docs + "metrics.md", Type: "link", TargetBlank: true}, {Title: "Alerts", URL: docs + "alerts.md", Type: "link", TargetBlank: true}},
		Panels:     p.panels,
	}
}

func variables() []variable {
	of := func(name, label, query string) variable {
		return variable{Name: name, Label: label, Type: "query", Query: query, Datasource: source, Refresh: 2, IncludeAll: true, Multi: true, AllValue: ".*", Sort: 1}
	}
	return []variable{
		{Name: "datasource", Label: "Prometheus", Type: "datasource", Query: "prometheus", Refresh: 1},
		of("namespace", "Namespace", `label_values(dane_operator_maildomain_condition, namespace)`),
		of("maildomain", "MailDomain", `label_values(dane_operator_maildomain_condition{namespace=~"$namespace"}, maildomain)`),
	}
}

// mail: does it arrive?
func mail(p *page) {
	p.section("Does mail arrive?")
	p.number("Hosts where senders may fail", "Some sender may have cached records that the certificate of the host does not match.", "",
		now(`count(min `+host+` (dane_operator_host_safe{`+domain+`}) == 0) or vector(0)`, ""), noneIsGood("red"))
	p.number("Hosts that senders do not deliver to", "Something that a sender with DANE looks up is bogus, does not answer, or does not match.", "",
		now(`count(max `+host+` (dane_operator_host_sender_view{`+domain+`,verdict="Undeliverable"}) == 1) or vector(0)`, ""), noneIsGood("red"))
	p.number("Endpoints with another certificate", "They present one that the published records do not match.", "",
		now(`sum(max `+host+` (dane_operator_host_endpoints{`+domain+`,state="mismatched"})) or 0 * sum(dane_operator_host_endpoints{`+domain+`})`, ""), noneIsGood("red"))
	p.number("Name servers out of sync", "They do not show the wanted records, and rollovers wait for them.", "",
		now(`sum(max `+host+` (dane_operator_host_name_servers{`+domain+`,state="out_of_sync"})) or 0 * sum(dane_operator_host_name_servers{`+domain+`})`, ""), noneIsGood("orange"))
	p.number("MailDomains that are not ready", "", "",
		now(`count(max by (namespace, maildomain) (dane_operator_maildomain_condition{`+domain+`,condition="Ready",status!="True"})) or vector(0)`, ""), noneIsGood("orange"))
	p.number("MailDomains that need a person", "The condition Stalled is True.", "",
		now(`count(max by (namespace, maildomain) (dane_operator_maildomain_condition{`+domain+`,condition="Stalled",status="True"})) or vector(0)`, ""), noneIsGood("orange"))
	p.states("Safety of each host", "A gap is a time for which it is not known.",
		map[string]shown{"0": {Text: "senders may fail", Color: "red", Index: 0}, "1": {Text: "safe", Color: "green", Index: 1}},
		over(`min `+host+` (dane_operator_host_safe{`+domain+`})`, "{{host}} ({{namespace}}/{{maildomain}})"))
	p.curves("What senders with DANE do", "Hosts, by the verdict of a look at each as a sender has it.", "", width/2,
		over(`count by (verdict) (max by (namespace, maildomain, host, verdict) (dane_operator_host_sender_view{`+domain+`}))`, "{{verdict}}"))
	p.curves("What endpoints present", "Addresses and ports that were probed.", "", width/2,
		over(`sum by (state) (max by (namespace, maildomain, host, state) (dane_operator_host_endpoints{`+domain+`}))`, "{{state}}"))
	p.bars("How long it has lasted", "Since when senders may fail, or an endpoint has presented a certificate that no record matches. Empty is good.", "s",
		now(`sort_desc(time() - min `+host+` (dane_operator_host_unsafe_start_timestamp_seconds{`+domain+`} or dane_operator_host_mismatch_start_timestamp_seconds{`+domain+`}))`, "{{host}} ({{namespace}}/{{maildomain}})"), noneIsGood("red"))
}

// rollovers: what do they wait for, and does the certificate last that long?
func rollovers(p *page) {
	p.section("Rollovers")
	p.bars("Life left of certificates", "The shortest first.", "s",
		now(`sort(min by (namespace, host, certificate) (dane_operator_host_certificate_expiration_timestamp_seconds{`+domain+`}) - time())`, "{{host}} {{certificate}}"), moreIsGood(2*day, 14*day))
	p.bars("Wait until the next key may be served", "Of certificates whose next key is published and waits for caches.", "s",
		now(`sort_desc(clamp_min(max by (namespace, host, certificate) (dane_operator_host_key_deployable_timestamp_seconds{`+domain+`}) - time(), 0))`, "{{host}} {{certificate}}"), rising("blue", "blue", 1))
	p.bars("Time to the next step", "When the next thing happens by itself.", "s",
		now(`sort(clamp_min(min by (namespace, maildomain) (dane_operator_maildomain_next_transition_timestamp_seconds{`+domain+`}) - time(), 0))`, "{{namespace}}/{{maildomain}}"), rising("blue", "blue", 1))
	p.bars("Certificates without a standby key", "Their next renewal waits for caches, and so would an emergency.", "",
		now(`max `+host+` (dane_operator_host_standby_keys_missing{`+domain+`}) > 0`, "{{host}}"), noneIsGood("orange"))
	p.curves("Phases", "MailDomains, by the reason of the condition RolloverInProgress.", "", width/2,
		over(`count by (reason) (max by (namespace, maildomain, reason) (dane_operator_maildomain_condition{`+domain+`,condition="RolloverInProgress"}))`, "{{reason}}"))
	p.curves("Keys", "Keys whose records are published or about to be.", "", width/2,
		over(`sum by (role) (max by (namespace, maildomain, host, role) (dane_operator_host_keys{`+domain+`}))`, "{{role}}"))
}

// zones: do they validate, and for how long?
func zones(p *page) {
	p.section("Zones")
	p.bars("Life left of signatures", "Until the first one runs out that a server shows; then senders stop delivering.", "s",
		now(`sort(min by (namespace, zone) (dane_operator_zone_signatures_expire_timestamp_seconds{`+zone+`}) - time())`, "{{zone}}"), moreIsGood(2*day, 4*day))
	p.bars("Findings", "By their code (docs/findings.md).", "",
		now(`sort_desc(max by (namespace, zone, code) (dane_operator_zone_finding{`+zone+`}))`, "{{zone}} {{code}}"), noneIsGood("orange"))
	p.curves("Findings by severity", "", "", width,
		over(`sum by (severity) (max by (namespace, dnszone, severity) (dane_operator_zone_findings{`+zone+`}))`, "{{severity}}"))
}

// reports: what do senders say? Where no receiver of reports runs there are none.
func reports(p *page) {
	p.section("Reports of senders")
	p.curves("Sessions that failed", "As the TLS reports of the day before tell of them; DANE is not the only policy.", "", width/2,
		over(`sum by (policy, result) (`+inADay(`dane_operator_tls_report_sessions_total{result!="successful"}`)+`)`, "{{policy}}: {{result}}"))
	p.curves("Sessions that succeeded", "", "", width/2,
		over(`sum by (policy) (`+inADay(`dane_operator_tls_report_sessions_total{result="successful"}`)+`)`, "{{policy}}"))
	p.curves("Reports", "A day, by the way they came and what became of them.", "", width/2,
		over(`sum by (channel, outcome) (increase(dane_operator_tls_reports_total[1d])) > 0`, "{{channel}}: {{outcome}}"))
	p.bars("Records held by reports", "How long the records of a key that is gone still stay for failures that were reported and proved.", "s",
		now(`sort_desc(max `+host+` (dane_operator_host_removal_hold_end_timestamp_seconds{`+domain+`}) - time())`, "{{host}}"), noneIsGood("orange"))
}

// inADay is what a counter has gained in a day. One that has begun since has begun with the first report of its kind, and not
// with 0: all of it counts, where an increase would leave that report out. It has if it was not there in the week before that
// day: at the instant a day ago alone Prometheus itself may have been away, and all that was ever counted would seem new.
func inADay(counter string) string {
	return `(` + counter + ` unless present_over_time(` + counter + `[1w] offset 1d)) or increase(` + counter + `[1d])`
}

// operator: does it do its work?
func operator(p *page) {
	p.section("The operator")
	p.curves("Updates of DNS", "Changes of RRsets an hour, by how they ended; Applied and Unchanged are successes.", "", width/2,
		over(`sum by (result) (rate(dane_operator_dns_updates_total[$__rate_interval])) * 3600`, "{{result}}"))
	p.curves("How long updates take", "From the decision until the end is known, read back from the primary.", "s", width/2,
		over(`histogram_quantile(0.5, sum by (le) (rate(dane_operator_dns_update_duration_seconds_bucket[$__rate_interval])))`, "half of them"),
		over(`histogram_quantile(0.99, sum by (le) (rate(dane_operator_dns_update_duration_seconds_bucket[$__rate_interval])))`, "99 of 100"))
	p.curves("Probes", "Connections to mail servers an hour, by what came of them.", "", width/2,
		over(`sum by (result) (rate(dane_operator_probes_total[$__rate_interval])) * 3600`, "{{result}}"))
	p.curves("Wait at the gate", "From the creation of a CertificateRequest until the operator approved it.", "s", width/2,
		over(`histogram_quantile(0.5, sum by (le) (rate(dane_operator_gate_wait_seconds_bucket[$__rate_interval])))`, "half of them"),
		over(`histogram_quantile(0.99, sum by (le) (rate(dane_operator_gate_wait_seconds_bucket[$__rate_interval])))`, "99 of 100"))
	p.curves("Faults and errors", "Tasks given up for a fault of the operator an hour, and reconciles that ended with an error.", "", width/2,
		over(`sum by (part) (rate(dane_operator_panics_total[$__rate_interval])) * 3600`, "fault: {{part}}"),
		over(`sum by (controller) (rate(controller_runtime_reconcile_errors_total{controller=~"maildomain|dnszone|certificaterequest-gate"}[$__rate_interval])) * 3600`, "errors: {{controller}}"))
	p.curves("Reconciles that wait", "", "", width/2,
		over(`sum by (name) (workqueue_depth{name=~"maildomain|dnszone|certificaterequest-gate"})`, "{{name}}"))
	p.number("Replicas seen", "", "", now(`count(dane_operator_trust_anchors_usable) or vector(0)`, ""), rising("red", "green", 1))
	p.number("Trust anchors can be used", "0 while the file of --trust-anchors cannot, and those before it count.", "",
		now(`min(dane_operator_trust_anchors_usable)`, ""), rising("red", "green", 1))
	p.number("Clock is behind", "1 while the clock of the machine is behind the API server's, and nothing is decided.", "",
		now(`max(dane_operator_clock_behind)`, ""), rising("green", "red", 1))
	p.number("Hosts looked at as a sender", "", "", now(`sum(max by (verdict) (dane_operator_sender_views))`, ""), rising("blue", "blue", 1))
}
