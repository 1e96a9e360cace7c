package metrics

// prefix begins the name of every metric of the operator.
const prefix = "dane_operator_"

// The labels. A host is a mail server of a MailDomain.
var (
	domainLabels = []string{"namespace", "maildomain"}
	hostLabels   = []string{"namespace", "maildomain", "host"}
)

// families are all metrics of the status, in the order of their names.
//
// What counts something by its state has a series for the state that should be, with 0 where there is none in it, and
// for another state while there is one in it: with ten thousand hosts those that are 0 would be a third of all.
var families = []*family{
	desc("host_certificate_expiration_timestamp_seconds",
		"Unix time at which a certificate in use expires.", hostLabels, eachHost(certificatesExpire), "certificate"),
	desc("host_endpoints",
		"Addresses and ports that were probed, by what they presented: a matching certificate (verified), another one (mismatched), or nothing that could be learned (unknown). Absent means 0.", hostLabels, eachHost(endpoints), "state"),
	desc("host_key_deployable_timestamp_seconds",
		"Unix time from which the next key of a certificate may be served; absent while that is not known.", hostLabels, eachHost(keysDeployable), "certificate"),
	desc("host_keys",
		"Keys whose records are published or about to be, by role. Absent means 0.", hostLabels, eachHost(keys), "role"),
	desc("host_mismatch_start_timestamp_seconds",
		"Unix time since which some endpoint of the mail server has presented a certificate that the published records do not match; absent while none does.", hostLabels, eachHost(mismatchStart)),
	desc("host_name_servers",
		"Addresses of authoritative name servers, by whether they show the wanted records. Absent means 0.", hostLabels, eachHost(nameServers), "state"),
	desc("host_removal_hold_end_timestamp_seconds",
		"Unix time until which reports of senders keep the records of a key that is gone; absent while they do not.", hostLabels, eachHost(holdEnd)),
	desc("host_safe",
		"Whether no sender can meet a certificate that its cached records do not match: 1, or 0 while senders may fail; absent while it is not known.", hostLabels, eachHost(safe)),
	desc("host_sender_view",
		"Always 1: the label verdict says what senders with DANE do with mail for the host.", hostLabels, eachHost(senderView), "verdict"),
	desc("host_standby_keys_missing",
		"Certificates that should have the key of their next renewal published and have not; absent where none should.", hostLabels, eachHost(standbyMissing)),
	desc("host_unsafe_end_timestamp_seconds",
		"Unix time until which senders may fail; absent while none can, or while it is not known.", hostLabels, eachHost(unsafeEnd)),
	desc("host_unsafe_start_timestamp_seconds",
		"Unix time since which senders may fail; absent while none can. The reason is that of the condition RolloverSafe.", hostLabels, eachHost(unsafeStart), "reason"),
	desc("maildomain_condition",
		"Always 1: the labels say what a condition of a MailDomain is (True, False or Unknown) and why.", domainLabels, conditions, "condition", "status", "reason"),
	desc("maildomain_next_transition_timestamp_seconds",
		"Unix time at which the next thing happens by itself; absent while that is not known.", domainLabels, nextTransition),
}
