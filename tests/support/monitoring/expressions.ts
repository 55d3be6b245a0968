import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Dashboard, Panel, RowPanel } from '@grafana/schema';
import { parse } from 'yaml';

const MONITORING = join(import.meta.dirname, '../../../monitoring');
const DASHBOARDS = join(MONITORING, 'grafana/provisioning/dashboards');

/** An expression, and where it stands. */
export interface Expression {
  readonly where: string;
  readonly expr: string;
}

export interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
}

export function readDashboard(name: 'overview' | 'service'): Dashboard {
  return JSON.parse(readFileSync(join(DASHBOARDS, `${name}.json`), 'utf8'));
}

export function panelsOf({ panels = [] }: Dashboard): Panel[] {
  return panels.filter((panel): panel is Panel => panel.type !== 'row');
}

/** The panels of rows that are closed until somebody opens them. */
export function hiddenPanelsOf({ panels = [] }: Dashboard): Panel[] {
  return panels.flatMap((panel) => (panel.type === 'row' ? (panel as RowPanel).panels : []));
}

/** What Grafana would ask Prometheus for a dashboard: panels and annotations, with the variables filled in. */
export function expressionsOf(
  dashboard: Dashboard,
  variables: Readonly<Record<string, string>>,
): Expression[] {
  const ofPanels = panelsOf(dashboard).flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ where: `${dashboard.title}: ${title}`, expr: String(expr) })),
  );
  const ofAnnotations = (dashboard.annotations?.list ?? []).map((annotation) => ({
    where: `${dashboard.title}: ${annotation.name}`,
    expr: 'expr' in annotation ? String(annotation.expr) : '',
  }));
  return [...ofPanels, ...ofAnnotations].map(({ where, expr }) => ({ where, expr: fill(expr, variables) }));
}

/** `$name` becomes the variable's value; an unknown one stays, and Prometheus will complain. */
export function fill(expr: string, variables: Readonly<Record<string, string>>): string {
  return expr.replaceAll(/\$(\w+)/g, (whole, name) => variables[name] ?? whole);
}

export function readRules(): Rule[] {
  const { groups } = parse(readFileSync(join(MONITORING, 'rules/gateway.yml'), 'utf8'));
  return groups.flatMap(({ rules }: { rules: Rule[] }) => rules);
}
