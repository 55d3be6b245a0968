import type { DataSourceRef } from '@grafana/schema';

/** The dashboards' own ids: they stand in links and bookmarks, so they stay. */
export const OVERVIEW_DASHBOARD = 'faf-gateway-overview';
export const SERVICE_DASHBOARD = 'faf-gateway-service';

/** Dashboards with this tag link to each other. */
export const TAG = 'faf-gateway';

/** Whichever Prometheus is chosen on top of the dashboard. */
export const DATASOURCE: DataSourceRef = { type: 'prometheus', uid: '$datasource' };

/** What the variables on top of a dashboard select. */
export const SELECTED = 'service=~"$service",port=~"$port"';
export const SELECTED_ROUTE = 'route=~"$route"';
export const SELECTED_SERVICE = 'service=~"$service"';

/** The prometheus.yml job whose targets are gateways. */
export const JOB = 'job="gateway"';
