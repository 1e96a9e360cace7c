{{/* The rules of files/role.yaml, which is config/rbac/role.yaml and generated from the code, less what the values
take away. */}}
{{- define "dane-operator.rules" -}}
{{- $rules := list }}
{{- range (.Files.Get "files/role.yaml" | fromYaml).rules }}
{{- $rule := . }}
{{- if and (has "secrets" .resources) (eq $.Values.rbac.secrets "Read") }}
{{- $rule = merge (dict "verbs" (without .verbs "create" "update")) . }}
{{- end }}
{{- if or $.Values.rbac.approve (not (has "signers" .resources)) }}
{{- $rules = append $rules $rule }}
{{- end }}
{{- end }}
{{- toYaml $rules }}
{{- end -}}

{{/* Those of them that are about no namespace: they hold only where a ClusterRoleBinding gives them. */}}
{{- define "dane-operator.clusterRules" -}}
{{- $rules := list }}
{{- range include "dane-operator.rules" . | fromYamlArray }}
{{- if or (has "namespaces" .resources) (has "signers" .resources) }}
{{- $rules = append $rules . }}
{{- end }}
{{- end }}
{{- toYaml $rules }}
{{- end -}}
