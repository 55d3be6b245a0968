// `npm run docs` writes the alerts as Kubernetes reads them. Change them in monitoring/rules, not there.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const MADE = '# Made by `npm run docs` from monitoring/rules/gateway.yml.\n';
const RULE_HEAD = `apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: gateway
  labels: { app.kubernetes.io/name: gateway }
spec:
`;

/** Each file that has the alerts in it, by its path within the project, for rules as Prometheus reads them. */
export function alertDocuments(rules: string): Readonly<Record<string, string>> {
  const groups = rules.slice(rules.indexOf('groups:'));
  return {
    'deploy/kubernetes/overlays/prod/prometheus-rule.yaml': MADE + RULE_HEAD + indented(groups),
    // Helm reads only what is in the chart's own folder.
    'deploy/helm/faf-cab-gateway/files/rules.yml': MADE + groups,
  };
}

export function readAlerts(): string {
  return readFileSync(join(ROOT, 'monitoring/rules/gateway.yml'), 'utf8');
}

export function writeAlerts(): void {
  for (const [path, document] of Object.entries(alertDocuments(readAlerts())))
    writeFileSync(join(ROOT, path), document);
}

function indented(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '  ');
}
