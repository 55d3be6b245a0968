import {
  type AnnotationQuery,
  type Dashboard,
  DashboardCursorSync,
  type DashboardLink,
  type Panel,
  type RowPanel,
  VariableHide,
  type VariableModel,
  VariableRefresh,
  VariableSort,
} from '@grafana/schema';
import { DATASOURCE, JOB, SELECTED_SERVICE, TAG } from './names.ts';
import type { Unplaced } from './panels.ts';

const COLUMNS = 24;

/** Panels under one heading, side by side until the line is full. */
export interface Row {
  readonly title: string;
  readonly panels: readonly Unplaced[];
  /** In columns of 24. */
  readonly width: number;
  readonly height: number;
  /** A variable: there is such a row for each of its values, closed until somebody opens it. Default: one open row. */
  readonly repeat?: string;
}

export interface DashboardContent {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly VariableModel[];
  readonly rows: readonly Row[];
}

export function dashboard({ uid, title, description, variables, rows }: DashboardContent): Dashboard {
  return {
    uid,
    title,
    description,
    tags: [TAG],
    schemaVersion: 39,
    editable: true,
    graphTooltip: DashboardCursorSync.Crosshair,
    time: { from: 'now-30m', to: 'now' },
    refresh: '10s',
    timezone: 'browser',
    links: [LINKS],
    annotations: { list: ANNOTATIONS },
    templating: { list: [DATASOURCE_VARIABLE, ...variables] },
    panels: place(rows),
  };
}

/** `service` and `port` as the label values of what was counted. */
export function labelVariable(name: 'service' | 'port', choice: 'one' | 'many'): VariableModel {
  const query = `label_values(gateway_requests_total, ${name})`;
  const many = choice === 'many';
  return {
    name,
    label: name === 'service' ? 'Service' : 'Port',
    type: 'query',
    datasource: DATASOURCE,
    query: { query, refId: name },
    refresh: VariableRefresh.onTimeRangeChanged,
    sort: VariableSort.alphabeticalAsc,
    multi: many,
    includeAll: many,
    ...(many && { allValue: '.*', current: { text: 'All', value: '$__all' } }),
  };
}

/** `route` as the routes that have series of their own, and `other`. It has no values where a gateway has no routes. */
export const ROUTE_VARIABLE: VariableModel = {
  name: 'route',
  label: 'Route',
  type: 'query',
  datasource: DATASOURCE,
  query: { query: 'label_values(gateway_route_requests_total, route)', refId: 'route' },
  refresh: VariableRefresh.onTimeRangeChanged,
  sort: VariableSort.alphabeticalAsc,
  multi: true,
  includeAll: true,
  current: { text: 'All', value: '$__all' },
};

const DATASOURCE_VARIABLE: VariableModel = {
  name: 'datasource',
  label: 'Prometheus',
  type: 'datasource',
  query: 'prometheus',
  hide: VariableHide.dontHide,
};

const LINKS: DashboardLink = {
  type: 'dashboards',
  title: 'Gateway dashboards',
  tags: [TAG],
  asDropdown: false,
  icon: 'external link',
  includeVars: true,
  keepTime: true,
  targetBlank: false,
  tooltip: '',
};

const ANNOTATIONS: AnnotationQuery[] = [
  annotation('Breaker trips', 'red', {
    expr: `sum by (service, instance) (increase(gateway_circuit_breaker_trips_total{${SELECTED_SERVICE}}[1m])) > 0`,
    titleFormat: 'Breaker tripped: {{service}}',
    textFormat: '{{instance}}',
    tagKeys: 'service',
  }),
  annotation('Gateway starts', 'blue', {
    expr: `time() - process_start_time_seconds{${JOB}} < 60`,
    titleFormat: 'Gateway started',
    textFormat: '{{gateway}}',
    tagKeys: 'gateway',
  }),
];

interface PrometheusAnnotation {
  readonly expr: string;
  readonly titleFormat: string;
  readonly textFormat: string;
  readonly tagKeys: string;
}

/** What Grafana's Prometheus data source reads of an annotation stands beside what all annotations have. */
function annotation(name: string, iconColor: string, query: PrometheusAnnotation): AnnotationQuery {
  const common: AnnotationQuery = { name, iconColor, enable: true, datasource: DATASOURCE };
  return { ...common, ...query, ...{ step: '15s' } };
}

function place(rows: readonly Row[]): (Panel | RowPanel)[] {
  const placed: (Panel | RowPanel)[] = [];
  let y = 0;
  let id = 0;
  for (const row of rows) {
    id += 1;
    const heading = headingOf(row, id, y);
    const panels = panelsBelow(row, id, y + 1);
    id += panels.length;
    placed.push(...(heading.collapsed ? [{ ...heading, panels }] : [heading, ...panels]));
    y += 1 + (heading.collapsed ? 0 : linesOf(row) * row.height);
  }
  return placed;
}

function headingOf({ title, repeat }: Row, id: number, y: number): RowPanel {
  return {
    id,
    type: 'row',
    title,
    collapsed: repeat !== undefined,
    ...(repeat !== undefined && { repeat }),
    panels: [],
    gridPos: { x: 0, y, w: COLUMNS, h: 1 },
  };
}

/** The panels of a row, with the ids after `rowId`. */
function panelsBelow({ panels, width, height }: Row, rowId: number, y: number): Panel[] {
  const perLine = Math.floor(COLUMNS / width);
  return panels.map((panel, index) => {
    const line = Math.floor(index / perLine);
    const gridPos = { x: (index % perLine) * width, y: y + line * height, w: width, h: height };
    return { id: rowId + 1 + index, ...panel, gridPos };
  });
}

function linesOf({ panels, width }: Row): number {
  return Math.ceil(panels.length / Math.floor(COLUMNS / width));
}
