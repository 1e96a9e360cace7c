package metrics

// prefix begins the name of every metric of the operator.
const prefix = "dane_operator_"

// The labels. A host is a mail server of a MailDomain.
var (
	domainLabels = []string{"namespace", "maildomain"}
	hostLabels   = []string{"namespace", "maildomain", "host"}
)

// What is shown of a MailDomain as a whole.
var (
	conditionState = desc("maildomain_condition",
		"Always 1: the labels say what a condition of a MailDomain is (True, False or Unknown) and why.",
		domainLabels, "condition", "status", "reason")
	nextTransition = desc("maildomain_next_transition_timestamp_seconds",
		"Unix time at which the next thing happens by itself; absent while that is not known.", domainLabels)
)

// What is shown of a host.
var (
	hostSafe = desc("host_safe",
		"Whether no sender can meet a certificate that its cached records do not match: 1, or 0 while senders may fail; absent while it is not known.", hostLabels)
	unsafeStart = desc("host_unsafe_start_timestamp_seconds",
		"Unix time since which senders may fail; absent while none can. The reason is that of the condition RolloverSafe.", hostLabels, "reason")
	unsafeEnd = desc("host_unsafe_end_timestamp_seconds",
		"Unix time until which senders may fail; absent while none can, or while it is not known.", hostLabels)
	senderView = desc("host_sender_view",
		"Always 1: the label verdict says what senders with DANE do with mail for the host.", hostLabels, "verdict")
	nameServers = desc("host_name_servers",
		"Addresses of authoritative name servers, by whether they show the wanted records.", hostLabels, "state")
	endpoints = desc("host_endpoints",
		"Addresses and ports that were probed, by what they presented: a matching certificate, another one, or nothing that could be learned.", hostLabels, "state")
	keys = desc("host_keys",
		"Keys whose records are published or about to be, by role.", hostLabels, "role")
	standbyMissing = desc("host_standby_keys_missing",
		"Certificates that should have the key of their next renewal published and have not.", hostLabels)
	certificateExpires = desc("host_certificate_expiration_timestamp_seconds",
		"Unix time at which a certificate in use expires.", hostLabels, "certificate")
	keyDeployable = desc("host_key_deployable_timestamp_seconds",
		"Unix time from which the next key of a certificate may be served; absent while that is not known.", hostLabels, "certificate")
	holdEnd = desc("host_removal_hold_end_timestamp_seconds",
		"Unix time until which reports of senders keep the records of a key that is gone; absent while they do not.", hostLabels)
)

var domainDescs = []*family{conditionState, nextTransition}

var hostDescs = []*family{
	hostSafe, unsafeStart, unsafeEnd, senderView, nameServers, endpoints, keys, standbyMissing, certificateExpires, keyDeployable, holdEnd,
}
