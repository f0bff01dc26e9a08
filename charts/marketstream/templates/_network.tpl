{{/* Peers and rules of NetworkPolicies. */}}

{{- define "marketstream.peers.component" -}}
- podSelector:
    matchLabels:
      {{- include "marketstream.selector" . | nindent 6 }}
{{- end -}}

{{- define "marketstream.peers.operator" -}}
{{ include "marketstream.peers.component" (list $ "operator") }}
{{- end -}}

{{/* The pods that the operator creates: (list $ "producer" "processor"), in every namespace that it serves. */}}
{{- define "marketstream.peers.streams" -}}
{{- $root := first . -}}
{{- $peers := rest . -}}
{{- range $index, $namespace := include "marketstream.namespaces" $root | fromJsonArray -}}
{{- if $index }}{{ "\n" }}{{ end -}}
- podSelector:
    {{- include "marketstream.streamSelector" $peers | nindent 4 }}
  {{- if eq $namespace "*" }}
  namespaceSelector: {}
  {{- else if ne $namespace $root.Release.Namespace }}
  namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ $namespace }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Selects pods that the operator creates: (list "producer" "processor"). The label is the operator's own, which no
other tool overwrites, as Tilt does with app.kubernetes.io/managed-by. */}}
{{- define "marketstream.streamSelector" -}}
matchExpressions:
  - key: marketstream.io/stream
    operator: Exists
  - key: app.kubernetes.io/component
    operator: In
    values: {{ toJson . }}
{{- end -}}

{{- define "marketstream.ports" -}}
{{- range . }}
- port: {{ . }}
  protocol: TCP
{{- end }}
{{- end -}}

{{/* The release's own pods, as peers of a pod in the namespace: (list $ "redis" "namespace"). */}}
{{- define "marketstream.to.component" -}}
{{- $root := index . 0 -}}
- podSelector:
    matchLabels:
      {{- include "marketstream.selector" (list $root (index . 1)) | nindent 6 }}
  {{- if ne (index . 2) $root.Release.Namespace }}
  namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ $root.Release.Namespace }}
  {{- end }}
{{- end -}}

{{- define "marketstream.egress.dns" -}}
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
{{- end -}}

{{/* Egress from the values: `to`, or any address if that is empty, on `ports`. */}}
{{- define "marketstream.egress.given" -}}
- ports:
    {{- include "marketstream.ports" .ports | nindent 4 }}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Egress to Kafka, from a pod in the namespace: (list $ "namespace"). */}}
{{- define "marketstream.egress.kafka" -}}
{{- $root := index . 0 -}}
{{- if eq $root.Values.kafka.mode "external" -}}
{{ include "marketstream.egress.given" $root.Values.kafka.external.egress }}
{{- else -}}
- ports:
    {{- range include "marketstream.kafka.listeners" $root | fromJsonArray }}
    - port: {{ include "marketstream.kafka.port" . }}
      protocol: TCP
    {{- end }}
  to:
    - podSelector:
        matchLabels:
          strimzi.io/cluster: {{ include "marketstream.fullname" $root }}
          strimzi.io/name: {{ include "marketstream.fullname" $root }}-kafka
      {{- if ne (index . 1) $root.Release.Namespace }}
      namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ $root.Release.Namespace }}
      {{- end }}
{{- end -}}
{{- end -}}

{{/* Egress to PostgreSQL or Redis, from a pod in the namespace: (list $ "redis" 6379 "namespace"). */}}
{{- define "marketstream.egress.server" -}}
{{- $root := index . 0 -}}
{{- $server := index $root.Values (index . 1) -}}
{{- if eq $server.mode "external" -}}
{{ include "marketstream.egress.given" $server.external.egress }}
{{- else if eq $server.mode "cnpg" -}}
- ports:
    - port: {{ index . 2 }}
      protocol: TCP
  to:
    - podSelector:
        matchLabels:
          {{- if $server.cnpg.pooler.instances }}
          cnpg.io/poolerName: {{ include "marketstream.postgresql.service" $root }}
          {{- else }}
          cnpg.io/cluster: {{ include "marketstream.postgresql.cluster" $root }}
          {{- end }}
      {{- if ne (index . 3) $root.Release.Namespace }}
      namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ $root.Release.Namespace }}
      {{- end }}
{{- else -}}
- ports:
    - port: {{ index . 2 }}
      protocol: TCP
  to:
    {{- include "marketstream.to.component" (list $root (index . 1) (index . 3)) | nindent 4 }}
{{- end -}}
{{- end -}}

{{/* Egress to the exchange. */}}
{{- define "marketstream.egress.exchange" -}}
{{- with .Values.networkPolicy.exchange -}}
- ports:
    {{- include "marketstream.ports" .ports | nindent 4 }}
  to:
    {{- if .to }}
    {{- toYaml .to | nindent 4 }}
    {{- else }}
    - ipBlock:
        cidr: 0.0.0.0/0
        except: [10.0.0.0/8, 100.64.0.0/10, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]
    {{- end }}
{{- end -}}
{{- end -}}

{{/* Ingress for scraping metrics, on the port named http. */}}
{{- define "marketstream.ingress.metrics" -}}
{{- with .Values.metrics.podMonitor -}}
{{- if .enabled -}}
- ports:
    - port: http
      protocol: TCP
  {{- with .from }}
  from:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}
{{- end -}}
