{{- /* What config.yaml says: the values' config, and what depends on the pod. */ -}}
{{- define "pullprint.config" -}}
{{- $c := deepCopy .Values.config -}}
{{- $auth := default dict $c.auth -}}
{{- if .Values.workloadIdentity.enabled -}}
  {{- $_ := set $auth "federated_token_file" "/var/run/secrets/azure/tokens/azure-identity-token" -}}
  {{- if not $auth.client_id -}}{{- $_ := set $auth "client_id" .Values.workloadIdentity.clientId -}}{{- end -}}
{{- else if not (or $auth.client_secret_file $auth.certificate_file $auth.private_key_file $auth.federated_token_file $auth.managed_identity) -}}
  {{- $_ := set $auth "client_secret_file" "client-secret" -}}
{{- end -}}
{{- $_ := set $c "auth" $auth -}}

{{- $webhook := default dict $c.webhook -}}
{{- $_ := set $webhook "listen" "0.0.0.0:8443" -}}
{{- if .Values.tls.webhook.existingSecret -}}
  {{- $_ := set $webhook "tls" (dict "cert_file" "tls/webhook/tls.crt" "key_file" "tls/webhook/tls.key") -}}
{{- end -}}
{{- $_ := set $c "webhook" $webhook -}}

{{- $admin := default dict $c.admin -}}
{{- $_ := set $admin "listen" "0.0.0.0:8080" -}}
{{- if not (or $admin.token_file $admin.tokens) -}}{{- $_ := set $admin "token_file" "admin-token" -}}{{- end -}}
{{- if .Values.tls.admin.existingSecret -}}
  {{- $_ := set $admin "tls" (dict "cert_file" "tls/admin/tls.crt" "key_file" "tls/admin/tls.key") -}}
{{- end -}}
{{- $_ := set $c "admin" $admin -}}

{{- $metrics := default dict $c.metrics -}}
{{- $_ := set $metrics "listen" "0.0.0.0:9464" -}}
{{- $_ := set $c "metrics" $metrics -}}

{{- $policy := default dict $c.policy -}}
{{- if .Values.policy.file -}}{{- $_ := set $policy "file" "policy.yaml" -}}{{- end -}}
{{- if .Values.policy.shadow -}}{{- $_ := set $policy "shadow_file" "shadow-policy.yaml" -}}{{- end -}}
{{- if $policy -}}{{- $_ := set $c "policy" $policy -}}{{- end -}}

{{- if $c.devices -}}
  {{- $badges := default dict $c.badges -}}
  {{- if not $badges.key_file -}}{{- $_ := set $badges "key_file" "badge-key" -}}{{- end -}}
  {{- $_ := set $c "badges" $badges -}}
{{- end -}}

{{- $nats := default dict $c.nats -}}
{{- if eq .Values.mode "cluster" -}}
  {{- $_ := set $nats "url" .Values.nats.url -}}
  {{- $_ := set $nats "replicas" .Values.nats.replicas -}}
  {{- if .Values.nats.existingSecret -}}{{- $_ := set $nats "credentials_file" "nats.creds" -}}{{- end -}}
{{- else -}}
  {{- $_ := set $nats "embedded" (dict "store_dir" "/var/lib/pullprint/nats" "max_store" .Values.store.maxStore) -}}
{{- end -}}
{{- $_ := set $c "nats" $nats -}}
{{- toYaml $c -}}
{{- end -}}

{{- /* validate tells everything that a schema can't, at once. */ -}}
{{- define "pullprint.validate" -}}
{{- $wrong := list -}}
{{- $c := .Values.config -}}
{{- if not .Values.image.repository -}}
  {{- $wrong = append $wrong "image.repository is missing: build the image from deploy/docker and name it in your registry" -}}
{{- end -}}
{{- if not (or .Values.image.tag .Values.image.digest) -}}
  {{- $wrong = append $wrong "image.tag is missing: name a tag, or a digest in image.digest" -}}
{{- end -}}
{{- if not .Values.existingSecret -}}
  {{- $wrong = append $wrong "existingSecret is missing: name the Secret with client-secret, admin-token and badge-key" -}}
{{- end -}}
{{- if not $c.tenant_id -}}
  {{- $wrong = append $wrong "config.tenant_id is missing: write the directory (tenant) id" -}}
{{- end -}}
{{- if not (or (dig "auth" "client_id" "" $c) (and .Values.workloadIdentity.enabled .Values.workloadIdentity.clientId)) -}}
  {{- $wrong = append $wrong "config.auth.client_id is missing: write the application (client) id of the app registration" -}}
{{- end -}}
{{- if not (dig "webhook" "public_url" "" $c) -}}
  {{- $wrong = append $wrong "config.webhook.public_url is missing: write the https address at which Microsoft Graph reaches the ingress" -}}
{{- end -}}
{{- if not $c.queues -}}
  {{- $wrong = append $wrong "config.queues is missing: list at least one printer that carries the trigger" -}}
{{- end -}}
{{- range $key, $instead := dict "webhook.listen" "" "admin.listen" "" "metrics.listen" "" "webhook.tls" "tls.webhook.existingSecret" "admin.tls" "tls.admin.existingSecret" "policy.file" "policy.file" "policy.shadow_file" "policy.shadow" "nats.url" "nats.url" "nats.replicas" "nats.replicas" "nats.credentials_file" "nats.existingSecret" "nats.embedded" "store" -}}
  {{- $at := splitList "." $key -}}
  {{- if hasKey (default dict (get $c (index $at 0))) (index $at 1) -}}
    {{- $wrong = append $wrong (printf "config.%s is set by the chart: leave it out%s" $key (ternary (printf ", and use %s beside config" $instead) "" (ne $instead ""))) -}}
  {{- end -}}
{{- end -}}
{{- if dig "metrics" "web_config_file" "" $c -}}
  {{- $wrong = append $wrong "config.metrics.web_config_file: probes show no password and no certificate; leave it out, and say in networkPolicy.metrics.from who may connect" -}}
{{- end -}}
{{- if .Values.workloadIdentity.enabled -}}
  {{- range $key := list "client_secret_file" "certificate_file" "private_key_file" "managed_identity" -}}
    {{- if dig "auth" $key "" $c -}}
      {{- $wrong = append $wrong (printf "config.auth.%s and workloadIdentity.enabled: leave one of them out" $key) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if eq .Values.mode "cluster" -}}
  {{- if not .Values.nats.url -}}
    {{- $wrong = append $wrong "nats.url is missing: with mode cluster name the NATS servers, as nats://nats.nats.svc:4222" -}}
  {{- end -}}
  {{- if lt (int .Values.replicas) 2 -}}
    {{- $wrong = append $wrong "replicas is less than 2: one replica with NATS servers of your own has all their cost and still a gap; write 3, or mode single" -}}
  {{- end -}}
  {{- if dig "administrator" "sign_in_file" "" $c -}}
    {{- $wrong = append $wrong "config.administrator needs a folder that is kept and written to, and with mode cluster there is none: leave it out, or use mode single" -}}
  {{- end -}}
{{- else -}}
  {{- if .Values.autoscaling.enabled -}}
    {{- $wrong = append $wrong "autoscaling.enabled with mode single: one store has one daemon; leave it out, or use mode cluster" -}}
  {{- end -}}
  {{- if .Values.nats.url -}}
    {{- $wrong = append $wrong "nats.url with mode single: NATS is in the pod; leave it out, or use mode cluster" -}}
  {{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled .Values.tls.webhook.existingSecret -}}
  {{- $wrong = append $wrong "ingress.enabled and tls.webhook.existingSecret: the ingress speaks plain http to the pod; leave one of them out" -}}
{{- end -}}
{{- if .Values.pagesIngress.enabled -}}
  {{- if not (dig "sign_in" "public_url" "" $c) -}}
    {{- $wrong = append $wrong "pagesIngress.enabled without config.sign_in.public_url: write the https address at which browsers reach the pages" -}}
  {{- end -}}
  {{- if .Values.tls.admin.existingSecret -}}
    {{- $wrong = append $wrong "pagesIngress.enabled and tls.admin.existingSecret: the ingress speaks plain http to the pod; leave one of them out" -}}
  {{- end -}}
  {{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.admin.from) -}}
    {{- $wrong = append $wrong "pagesIngress.enabled and networkPolicy.admin.from: it lets nobody in; name your ingress controller there" -}}
  {{- end -}}
{{- end -}}
{{- if $wrong -}}
  {{- fail (printf "\n  - %s\n" (join "\n  - " $wrong)) -}}
{{- end -}}
{{- end -}}
