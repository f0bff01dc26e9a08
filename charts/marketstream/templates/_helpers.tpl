{{/* The base of all names: at most 40 characters, because Strimzi and StatefulSets append to it. */}}
{{- define "marketstream.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains "marketstream" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-marketstream" (.Release.Name | trunc 27 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{/* Labels that select the pods of a component: (list $ "api"). */}}
{{- define "marketstream.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: marketstream
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* The labels of an object of a component: (list $ "api"). */}}
{{- define "marketstream.labels" -}}
{{- $root := index . 0 -}}
{{ include "marketstream.selector" . }}
app.kubernetes.io/part-of: marketstream
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The labels of a pod: (list $ "api" podLabels). They do not include the version, so that an upgrade of the chart alone
rolls nothing. */}}
{{- define "marketstream.podLabels" -}}
{{- $root := index . 0 -}}
{{ include "marketstream.selector" (list $root (index . 1)) }}
app.kubernetes.io/part-of: marketstream
{{- with merge (dict) (index . 2) $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The reference of an image: (list $ "services"). */}}
{{- define "marketstream.image" -}}
{{- $root := index . 0 -}}
{{- $image := index $root.Values.images (index . 1) -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* Fields of every pod: (list $ userId), with true as a third item for a pod that uses the Kubernetes API. */}}
{{- define "marketstream.pod" -}}
{{- $root := index . 0 -}}
automountServiceAccountToken: {{ gt (len .) 2 }}
# A Service named kafka would otherwise set KAFKA_… variables in every container.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- if $root.Values.security.fixedUserIds }}
  runAsUser: {{ index . 1 }}
  runAsGroup: {{ index . 1 }}
  fsGroup: {{ index . 1 }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- with $root.Values.images.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Security context of every container. The argument is true if the root file system is writable. */}}
{{- define "marketstream.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
  readOnlyRootFilesystem: {{ not . }}
{{- end -}}

{{/* Scheduling of a component's pods: (list $ "api" .Values.api). */}}
{{- define "marketstream.scheduling" -}}
{{- $root := index . 0 -}}
{{- $values := index . 2 -}}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- $own := include "marketstream.selector" (list $root (index . 1)) | fromYaml }}
  {{- include "marketstream.constraints" (list $values.topologySpreadConstraints $own) | nindent 2 }}
{{- else if and (not $values.affinity) (hasKey $values "replicas") }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "marketstream.selector" (list $root (index . 1)) | nindent 8 }}
{{- end }}
{{- end -}}

{{/* Constraints of a pod's topology, with the pod's own labels where a constraint has no selector: (list constraints labels). */}}
{{- define "marketstream.constraints" -}}
{{- $labels := index . 1 -}}
{{- $made := list -}}
{{- range index . 0 -}}
{{- $made = append $made (hasKey . "labelSelector" | ternary . (set (deepCopy .) "labelSelector" (dict "matchLabels" $labels))) -}}
{{- end -}}
{{- toYaml $made -}}
{{- end -}}

{{/* Names of Secrets that the chart creates or that are given, and listeners and nodes of Kafka. */}}
{{- define "marketstream.connectionSecret" -}}
{{- .Values.connection.existingSecret | default (printf "%s-connection" (include "marketstream.fullname" .)) -}}
{{- end -}}

{{- define "marketstream.postgresql.secret" -}}
{{- $suffix := ternary "postgresql-app" "postgresql" (eq .Values.postgresql.mode "cnpg") -}}
{{- .Values.postgresql.auth.existingSecret | default (printf "%s-%s" (include "marketstream.fullname" .) $suffix) -}}
{{- end -}}

{{/* The name of CloudNativePG's Cluster, from which CloudNativePG makes the names of its Services and Secrets. */}}
{{- define "marketstream.postgresql.cluster" -}}
{{- printf "%s-postgresql" (include "marketstream.fullname" .) -}}
{{- end -}}

{{/* The name of the Service of PostgreSQL: of a pooler before CloudNativePG's primary, or of the primary itself. */}}
{{- define "marketstream.postgresql.service" -}}
{{- $name := include "marketstream.postgresql.cluster" . -}}
{{- if eq .Values.postgresql.mode "cnpg" -}}
{{- printf "%s-%s" $name (ternary "pooler" "rw" (gt (int .Values.postgresql.cnpg.pooler.instances) 0)) -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}

{{- define "marketstream.redis.secret" -}}
{{- .Values.redis.auth.existingSecret | default (printf "%s-redis" (include "marketstream.fullname" .)) -}}
{{- end -}}

{{/* The port of a listener of Kafka: "plain" or "tls". */}}
{{- define "marketstream.kafka.port" -}}
{{- ternary 9093 9092 (eq . "tls") -}}
{{- end -}}

{{/* The listener that the clients of Kafka use. */}}
{{- define "marketstream.kafka.listener" -}}
{{- ternary "tls" "plain" .Values.kafka.strimzi.secure -}}
{{- end -}}

{{/* The listeners of Kafka, as a JSON list. */}}
{{- define "marketstream.kafka.listeners" -}}
{{- ternary (list "plain" "tls") (list (include "marketstream.kafka.listener" .)) .Values.kafka.strimzi.bothListeners | toJson -}}
{{- end -}}

{{/* The node pools of Kafka, as a JSON list: name, roles, replicas, and the values of storage, resources and heap. */}}
{{- define "marketstream.kafka.pools" -}}
{{- with .Values.kafka.strimzi -}}
{{- if .controllers.replicas -}}
{{- list (dict "name" "controller" "roles" (list "controller") "replicas" .controllers.replicas "values" .controllers) (dict "name" "broker" "roles" (list "broker") "replicas" .replicas "values" .) | toJson -}}
{{- else -}}
{{- list (dict "name" "kafka" "roles" (list "controller" "broker") "replicas" .replicas "values" .) | toJson -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A quantity of bytes as a number, such as 1024 for 1Ki. */}}
{{- define "marketstream.bytes" -}}
{{- $number := regexFind "^[0-9.]+" . -}}
{{- $factors := dict "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976 -}}
{{- printf "%.0f" (mulf $number (get $factors (trimPrefix $number .) | default 1 | float64)) -}}
{{- end -}}

{{/* The namespaces that the operator serves, as a JSON list; ["*"] for all. */}}
{{- define "marketstream.namespaces" -}}
{{- .Values.operator.watchNamespaces | default (list .Release.Namespace) | uniq | toJson -}}
{{- end -}}

{{/* The value of a key of an existing Secret: (list $ "secret" "key" "name of the value that names the Secret"). */}}
{{- define "marketstream.secretValue" -}}
{{- $root := index . 0 -}}
{{- $data := get (lookup "v1" "Secret" $root.Release.Namespace (index . 1) | default dict) "data" | default dict -}}
{{- if not (hasKey $data (index . 2)) -}}
{{- fail (printf "%s: there is no Secret %s with a key %s in the namespace %s. Create it before the release. If the chart is rendered without a cluster (helm template, GitOps), also set connection.existingSecret, which contains all addresses and passwords." (index . 3) (index . 1) (index . 2) $root.Release.Namespace) -}}
{{- end -}}
{{- get $data (index . 2) | b64dec -}}
{{- end -}}

{{/* The value of a key of an existing Secret, empty if there is none: (list $ "secret" "key"). */}}
{{- define "marketstream.secretValueIfAny" -}}
{{- get (get (lookup "v1" "Secret" (index . 0).Release.Namespace (index . 1) | default dict) "data" | default dict) (index . 2) | default "" | b64dec -}}
{{- end -}}

{{/* The password of an internal server: (list $ "postgresql"). In this order: the given one, the one in a given Secret, the
one generated before, a new one. It is stored in the values, so that all templates get the same. */}}
{{- define "marketstream.password" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $auth := (index $root.Values $name).auth -}}
{{- if not $auth.password -}}
{{- if $auth.existingSecret -}}
{{- $_ := set $auth "password" (include "marketstream.secretValue" (list $root $auth.existingSecret "password" (printf "%s.auth.existingSecret" $name))) -}}
{{- else -}}
{{- $secret := include (printf "marketstream.%s.secret" $name) $root -}}
{{- $data := get (lookup "v1" "Secret" $root.Release.Namespace $secret | default dict) "data" | default dict -}}
{{- $_ := set $auth "password" (get $data "password" | default "" | b64dec | default (randAlphaNum 32)) -}}
{{- end -}}
{{- end -}}
{{- $auth.password -}}
{{- end -}}

{{/* A text, escaped for a URL. */}}
{{- define "marketstream.escaped" -}}
{{- urlquery . | replace "+" "%20" -}}
{{- end -}}

{{/* The rules that allow to read these Secrets, as a JSON list: none for no names, as a rule without names allows all. */}}
{{- define "marketstream.secretRules" -}}
{{- $rules := list -}}
{{- if . -}}
{{- $rules = list (dict "apiGroups" (list "") "resources" (list "secrets") "resourceNames" (uniq .) "verbs" (list "get")) -}}
{{- end -}}
{{- toJson $rules -}}
{{- end -}}

{{/* The names of Secrets, separated by commas. */}}
{{- define "marketstream.secretNames" -}}
{{- $names := list -}}
{{- range . }}{{ $names = append $names .name }}{{ end -}}
{{- join "," $names -}}
{{- end -}}
