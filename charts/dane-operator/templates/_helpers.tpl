{{/* The name of everything that is installed. */}}
{{- define "dane-operator.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 46 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" (.Release.Name | trunc 32 | trimSuffix "-") .Chart.Name -}}
{{- end -}}
{{- end -}}

{{- define "dane-operator.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "dane-operator.name" .) -}}
{{- else -}}
{{- required "serviceAccount.create is false: set serviceAccount.name to an account that exists" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change: a Deployment's selector cannot. */}}
{{- define "dane-operator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "dane-operator.labels" -}}
{{ include "dane-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Those of the receiver of reports, whose pods are none of the operator's. */}}
{{- define "dane-operator.reportsSelector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-reports
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "dane-operator.reportsLabels" -}}
{{ include "dane-operator.reportsSelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "dane-operator.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "dane-operator.args" -}}
- --leader-elect
{{- if .Values.metrics.enabled }}
- --metrics-bind-address=:{{ .Values.metrics.port }}
{{- if .Values.metrics.secure }}
- --metrics-secure
{{- end }}
{{- end }}
{{- with .Values.dashboard }}
{{- if .enabled }}
- --dashboard-address={{ ternary "" "127.0.0.1" .service.create }}:{{ .port }}
{{- if .certificateSecret }}
- --dashboard-cert-dir=/etc/dane-operator-dashboard
{{- end }}
{{- end }}
{{- end }}
{{- range .Values.namespaces }}
- --namespace={{ . }}
{{- end }}
{{- with .Values.selector }}
- {{ printf "--selector=%s" . | quote }}
{{- end }}
{{- if .Values.trustAnchors }}
- --trust-anchors=/etc/dane-operator/anchors.ds
{{- end }}
{{- range .Values.resolvers }}
- --resolvers={{ . }}
{{- end }}
{{- /* int64: numbers of a values file are floats, and one of a million would be written 1e+06. */}}
{{- if ne (int64 .Values.queriesPerServer) 500 }}
- --queries-per-server={{ int64 .Values.queriesPerServer }}
{{- end }}
{{- if ne (int64 .Values.workers) 16 }}
- --workers={{ int64 .Values.workers }}
{{- end }}
{{- range .Values.probe.allowCIDRs }}
- --probe-allow-cidr={{ . }}
{{- end }}
{{- with .Values.probe.heloName }}
- --probe-helo-name={{ . }}
{{- end }}
{{- with .Values.log.level }}
- --v={{ . }}
{{- end }}
{{- if ne .Values.log.format "json" }}
- --log-format={{ .Values.log.format }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}

{{/* What the operator's pod and that of the test have alike: as whom they run, and where. */}}
{{- define "dane-operator.podSpec" -}}
serviceAccountName: {{ include "dane-operator.serviceAccount" . | quote }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "dane-operator.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* How the metrics are scraped, given all values and those of the monitor: what PodMonitor and
ServiceMonitor say alike of an endpoint. */}}
{{- define "dane-operator.scrape" -}}
{{- $ := index . 0 -}}
{{- with index . 1 -}}
honorLabels: true
{{- if $.Values.metrics.secure }}
scheme: https
tlsConfig:
  {{- .tlsConfig | default (dict "insecureSkipVerify" true) | toYaml | nindent 2 }}
authorization: {credentials: {name: {{ include "dane-operator.name" $ }}-metrics-scraper, key: token}}
{{- else if .tlsConfig }}
{{- fail "tlsConfig of a monitor needs metrics.secure" }}
{{- end }}
{{- with .interval }}
interval: {{ . | quote }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . | quote }}
{{- end }}
{{- with .relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
{{- end -}}
