{{/* Addresses and passwords of Kafka, PostgreSQL and Redis: the keys of the connection Secret, as YAML. */}}
{{- define "marketstream.connection" -}}
{{- $name := include "marketstream.fullname" . -}}
{{- $namespace := .Release.Namespace -}}
{{- with .Values.kafka }}
{{- if eq .mode "strimzi" }}
KAFKA_BOOTSTRAP: {{ printf "%s-kafka-bootstrap.%s.svc:%s" $name $namespace (include "marketstream.kafka.port" (include "marketstream.kafka.listener" $)) | quote }}
{{- if .strimzi.secure }}
KAFKA_SECURITY_PROTOCOL: SASL_SSL
KAFKA_SASL_MECHANISM: SCRAM-SHA-512
{{- end }}
{{- else }}
KAFKA_BOOTSTRAP: {{ .external.bootstrapServers | quote }}
KAFKA_SECURITY_PROTOCOL: {{ .external.securityProtocol | quote }}
{{- if hasPrefix "SASL" .external.securityProtocol }}
KAFKA_SASL_MECHANISM: {{ .external.saslMechanism | quote }}
{{- if .external.existingSecret }}
{{- range list "KAFKA_SASL_USERNAME" "KAFKA_SASL_PASSWORD" }}
{{ . }}: {{ include "marketstream.secretValue" (list $ $.Values.kafka.external.existingSecret . "kafka.external.existingSecret") | quote }}
{{- end }}
{{- else }}
KAFKA_SASL_USERNAME: {{ .external.saslUsername | quote }}
KAFKA_SASL_PASSWORD: {{ .external.saslPassword | quote }}
{{- end }}
{{- end }}
{{- with .external.caCertificate }}
KAFKA_CA_FILE: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.postgresql }}
{{- if ne .mode "external" }}
DATABASE_URL: {{ printf "postgresql://%s:%s@%s.%s.svc:5432/%s%s" (include "marketstream.escaped" .auth.username) (include "marketstream.escaped" (include "marketstream.password" (list $ "postgresql"))) (include "marketstream.postgresql.service" $) $namespace (include "marketstream.escaped" .auth.database) (ternary "?sslmode=verify-full" "" (eq .mode "cnpg")) | quote }}
{{- else if .external.existingSecret }}
DATABASE_URL: {{ include "marketstream.secretValue" (list $ .external.existingSecret "DATABASE_URL" "postgresql.external.existingSecret") | quote }}
{{- with include "marketstream.secretValueIfAny" (list $ .external.existingSecret "DATABASE_CA") }}
DATABASE_CA: {{ . | quote }}
{{- end }}
{{- else }}
DATABASE_URL: {{ .external.url | quote }}
{{- end }}
{{- with .external.caCertificate }}
DATABASE_CA: {{ . | quote }}
{{- end }}
{{- end }}
{{- with .Values.redis }}
{{- if eq .mode "internal" }}
REDIS_URL: {{ printf "redis://:%s@%s-redis.%s.svc:6379/0" (include "marketstream.escaped" (include "marketstream.password" (list $ "redis"))) $name $namespace | quote }}
{{- else if .external.existingSecret }}
REDIS_URL: {{ include "marketstream.secretValue" (list $ .external.existingSecret "REDIS_URL" "redis.external.existingSecret") | quote }}
{{- with include "marketstream.secretValueIfAny" (list $ .external.existingSecret "REDIS_CA") }}
REDIS_CA: {{ . | quote }}
{{- end }}
{{- else }}
REDIS_URL: {{ .external.url | quote }}
{{- end }}
{{- with .external.caCertificate }}
REDIS_CA: {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The certificate authorities of PostgreSQL and Redis that the API trusts, as a JSON object of key to Secret and item. */}}
{{- define "marketstream.authorities" -}}
{{- $secret := include "marketstream.connectionSecret" . -}}
{{- $given := .Values.connection.authorities -}}
{{- if not .Values.connection.existingSecret -}}
{{- $given = keys (include "marketstream.connection" . | fromYaml) -}}
{{- end -}}
{{- $found := dict -}}
{{- range list "DATABASE_CA" "REDIS_CA" -}}
{{- if has . $given }}{{ $_ := set $found . (dict "secret" $secret "item" .) }}{{ end -}}
{{- end -}}
{{- if eq .Values.postgresql.mode "cnpg" -}}
{{- $_ := set $found "DATABASE_CA" (dict "secret" (printf "%s-ca" (include "marketstream.postgresql.cluster" .)) "item" "ca.crt") -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* A digest of all that the API takes from its connection Secret. It is empty if the Secret is given and cannot be read. */}}
{{- define "marketstream.connectionDigest" -}}
{{- if .Values.connection.existingSecret -}}
{{- with lookup "v1" "Secret" .Release.Namespace .Values.connection.existingSecret -}}
{{- pick (.data | default dict) "DATABASE_URL" "REDIS_URL" "DATABASE_CA" "REDIS_CA" | toJson | sha256sum | trunc 16 -}}
{{- end -}}
{{- else -}}
{{- include "marketstream.connection" . | sha256sum | trunc 16 -}}
{{- end -}}
{{- end -}}
