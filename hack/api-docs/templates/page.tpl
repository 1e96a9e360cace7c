{{- define "gvList" -}}
# API reference

Every field of the two kinds, from the comments in [api/v1alpha1](../api/v1alpha1). This page is generated: `make generate`
writes it. `kubectl explain maildomain.spec` shows the same text in a terminal. [Troubleshooting](troubleshooting.md) has
the conditions and their reasons.
{{ range $gv := . }}
The group and version are `{{ $gv.GroupVersionString }}`. Both kinds are namespaced:
{{ range $gv.SortedKinds }}
- {{ markdownRenderTypeLink ($gv.TypeForKind .) }}
{{- end }}
{{ range $gv.SortedTypes }}{{ template "type" . }}{{ end }}
{{- end }}
{{- end -}}

{{- define "type" -}}
{{- if markdownShouldRenderType . }}
## {{ .Name }}

{{ .Doc }}
{{ if .References }}
Used in{{ range $i, $at := .SortedReferences }}{{ if $i }},{{ end }} {{ markdownRenderTypeLink $at }}{{ end }}.
{{ end }}
{{- template "rules" . }}
{{- range .EnumValues }}
- `{{ .Name }}`{{ with .Doc }}: {{ template "line" . }}{{ end }}
{{- end }}
{{- if .EnumValues }}
{{ end }}
{{- if .GVK }}
- **apiVersion**: `{{ .GVK.Group }}/{{ .GVK.Version }}`
- **kind**: `{{ .GVK.Kind }}`
{{- end }}
{{- range .Members }}
- **{{ .Name }}** ({{ markdownRenderType .Type }}{{ if has "Required: {}" .Validation }}, required{{ end }})
  {{- if eq .Name "metadata" }}: as of every object
  {{- else }}: {{ template "line" .Doc }}{{ template "limits" . }}
  {{- end }}
{{- end }}
{{- if .Members }}
{{ end }}
{{- end }}
{{- end -}}

{{- /* A comment on one line. */ -}}
{{- define "line" -}}
{{ . | trim | replace "\n" " " | replace "<" "&lt;" }}
{{- end -}}

{{- /* What the API server takes, beyond the type of a field. That of a type with a section of its own stands there. */ -}}
{{- define "limits" -}}
{{- $own := markdownShouldRenderType .Type }}
{{- $element := and .Type.UnderlyingType (markdownShouldRenderType .Type.UnderlyingType) }}
{{- if not (has (nospace .Default) (list "" "{}")) }} Default: `{{ .Default }}`.{{ end }}
{{- range .Validation }}{{ if or (hasSuffix "Items" (splitList ":" . | first)) (not (or $own $element (has . (list "Required: {}" "Optional: {}")))) }} {{ . }}.{{ end }}{{ end }}
{{- if not (and $own (not (hasPrefix "Duration" .Type.Name))) }}
{{- if not $element }}
{{- range index .Markers "kubebuilder:validation:XValidation" }}
  - Refused otherwise: {{ template "line" .Message }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* The same, of a type. */ -}}
{{- define "rules" -}}
{{- range .Validation }}{{ if not (hasPrefix "Enum" .) }}
{{ . }}.
{{ end }}{{ end }}
{{- range index .Markers "kubebuilder:validation:XValidation" }}
Refused otherwise: {{ template "line" .Message }}
{{ end }}
{{- end -}}
