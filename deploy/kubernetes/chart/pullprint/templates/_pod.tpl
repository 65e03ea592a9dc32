{{- /* pod is the template of both kinds of workload. */ -}}
{{- define "pullprint.pod" -}}
metadata:
  labels:
    {{- include "pullprint.selector" . | nindent 4 }}
    {{- if .Values.workloadIdentity.enabled }}
    azure.workload.identity/use: "true"
    {{- end }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include "pullprint.config" . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "pullprint.serviceAccount" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext: {{- include "pullprint.podSecurityContext" true | nindent 4 }}
  containers:
    - name: pullprint
      image: {{ include "pullprint.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command: [/usr/bin/pullprint]
      args: [run, --config, /etc/pullprint/config.yaml]
      env:
        - name: GOMEMLIMIT # collect garbage before the limit is met, not after
          valueFrom: {resourceFieldRef: {resource: limits.memory}}
        {{- with .Values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - {name: webhook, containerPort: 8443, protocol: TCP}
        - {name: admin, containerPort: 8080, protocol: TCP}
        - {name: metrics, containerPort: 9464, protocol: TCP}
      startupProbe:
        httpGet: {path: /healthz, port: metrics}
        periodSeconds: 2
        failureThreshold: 90 # a large store is read first
      livenessProbe:
        httpGet: {path: /healthz, port: metrics}
        periodSeconds: 10
        timeoutSeconds: 3
        failureThreshold: 3
      readinessProbe:
        # Without the subscription: Graph's handshake has to come in before there is one.
        httpGet: {path: "/readyz?exclude=subscription&exclude=integrity", port: metrics}
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      {{- if eq .Values.mode "cluster" }}
      lifecycle: {preStop: {sleep: {seconds: 5}}} # until nobody sends it anything any more
      {{- end }}
      {{- with .Values.resources }}
      resources: {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext: {{- include "pullprint.securityContext" . | nindent 8 }}
      volumeMounts:
        # As folders, never by subPath: that would not follow a change.
        - {name: etc, mountPath: /etc/pullprint, readOnly: true}
        {{- if eq .Values.mode "single" }}
        - {name: store, mountPath: /var/lib/pullprint}
        {{- end }}
        {{- if .Values.workloadIdentity.enabled }}
        - {name: azure-identity-token, mountPath: /var/run/secrets/azure/tokens, readOnly: true}
        {{- end }}
  volumes:
    # /etc/pullprint as on a print server: config.yaml, policy.yaml and the secrets.
    - name: etc
      projected:
        defaultMode: 0440
        sources:
          - secret: {name: {{ .Values.existingSecret | quote }}}
          {{- if or .Values.policy.file .Values.policy.shadow }}
          - configMap: {name: {{ include "pullprint.fullname" . }}-policy}
          {{- end }}
          - configMap: {name: {{ include "pullprint.fullname" . }}-config, items: [{key: config.yaml, path: config.yaml}]}
          {{- if and (eq .Values.mode "cluster") .Values.nats.existingSecret }}
          - secret: {name: {{ .Values.nats.existingSecret | quote }}, items: [{key: nats.creds, path: nats.creds}]}
          {{- end }}
          {{- range $door := list "webhook" "admin" }}
          {{- with (index $.Values.tls $door).existingSecret }}
          - secret: {name: {{ . | quote }}, items: [{key: tls.crt, path: tls/{{ $door }}/tls.crt}, {key: tls.key, path: tls/{{ $door }}/tls.key}]}
          {{- end }}
          {{- end }}
    {{- if .Values.workloadIdentity.enabled }}
    # The webhook of Azure Workload Identity leaves a volume of this name alone.
    - name: azure-identity-token
      projected:
        defaultMode: 0440
        sources:
          - serviceAccountToken: {audience: "api://AzureADTokenExchange", expirationSeconds: 3600, path: azure-identity-token}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.topologySpreadConstraints }}
  topologySpreadConstraints: {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
  {{- else if eq .Values.mode "cluster" }}
  topologySpreadConstraints:
    {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "pullprint.selector" $ | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
{{- end -}}
