import {
  AxisPlacement,
  BigValueColorMode,
  BigValueGraphMode,
  BigValueJustifyMode,
  BigValueTextMode,
  type FieldConfig,
  GraphDrawStyle,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LineInterpolation,
  MappingType,
  type Panel,
  PercentChangeColorMode,
  SortOrder,
  StackingMode,
  type Threshold,
  ThresholdsMode,
  TooltipDisplayMode,
  type ValueMapping,
  VisibilityMode,
  VizOrientation,
} from '@grafana/schema';
import type * as statKind from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as stateTimelineKind from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as timeSeriesKind from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import { DATASOURCE, SERVICE_DASHBOARD } from './names.ts';

/** What one line, bar or number shows. */
export interface Query {
  readonly expr: string;
  /** `{{label}}` stands for the label's value. */
  readonly legend: string;
  /** Whether single requests are shown as dots that lead to their traces. Default false. */
  readonly exemplar?: boolean;
}

/** A colour from this value on; the first step has none and holds below the second. */
export type Step = readonly [value: number | null, color: string];

export interface PanelContent {
  readonly title: string;
  /** What it shows and what to make of it: the question mark beside the title. */
  readonly description: string;
  /** Grafana's id of a unit: `reqps`, `s`, `percent`, `bytes`, `short`. */
  readonly unit: string;
  readonly queries: readonly Query[];
  readonly thresholds?: readonly Step[];
  readonly min?: number;
  readonly max?: number;
}

/** A panel without its place: `dashboard()` gives it id and position. */
export type Unplaced = Omit<Panel, 'id' | 'gridPos'>;

/** Where a click on a line leads: what the labels of that line name. */
const SERVICE_LINK = {
  title: 'Details of this service',
  url: `/d/${SERVICE_DASHBOARD}?var-service=\${__field.labels.service}&\${__url_time_range}`,
};

const HEALTHY = 'green';

export interface GraphContent extends PanelContent {
  readonly stacked?: boolean;
  /** Lines lead to the service that their label `service` names. */
  readonly leadsToService?: boolean;
  /** Legends of lines that are percentages, on an axis of their own at the right. */
  readonly percentages?: readonly string[];
}

/** Lines over time, with a table of last and highest values below. */
export function graph(content: GraphContent): Unplaced {
  const { stacked = false, leadsToService = false, percentages = [], thresholds } = content;
  const custom: timeSeriesKind.FieldConfig = {
    drawStyle: GraphDrawStyle.Line,
    lineInterpolation: LineInterpolation.Linear,
    lineWidth: 2,
    fillOpacity: stacked ? 30 : 8,
    showPoints: VisibilityMode.Never,
    spanNulls: false,
    stacking: { mode: stacked ? StackingMode.Normal : StackingMode.None, group: 'A' },
    thresholdsStyle: {
      mode: thresholds ? GraphThresholdsStyleMode.Dashed : GraphThresholdsStyleMode.Off,
    },
  };
  const options: timeSeriesKind.Options = {
    legend: {
      displayMode: LegendDisplayMode.Table,
      placement: 'bottom',
      showLegend: true,
      calcs: ['lastNotNull', 'max'],
      sortBy: 'Max',
      sortDesc: true,
    },
    tooltip: { mode: TooltipDisplayMode.Multi, sort: SortOrder.Descending },
  };
  const more = { custom: { ...custom }, ...(leadsToService && { links: [SERVICE_LINK] }) };
  const overrides = percentages.map((legend) => ({
    matcher: { id: 'byName', options: legend },
    properties: [
      { id: 'unit', value: 'percent' },
      { id: 'max', value: 100 },
      { id: 'custom.axisPlacement', value: AxisPlacement.Right },
    ],
  }));
  return { ...shared('timeseries', content, more, overrides), options: { ...options } };
}

export interface StatContent extends PanelContent {
  /** Words for values, as in `{ 0: ['down', 'red'] }`. */
  readonly words?: Words;
}

export type Words = Readonly<Record<number, readonly [text: string, color: string]>>;

/** One number in the colour of its threshold, over a sketch of how it got there. */
export function stat(content: StatContent): Unplaced {
  const options: statKind.Options = {
    colorMode: BigValueColorMode.Background,
    graphMode: BigValueGraphMode.Area,
    justifyMode: BigValueJustifyMode.Center,
    orientation: VizOrientation.Auto,
    percentChangeColorMode: PercentChangeColorMode.Standard,
    reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
    showPercentChange: false,
    textMode: BigValueTextMode.Value,
    wideLayout: true,
  };
  return { ...shared('stat', content, wording(content.words)), options: { ...options } };
}

export interface TimelineContent extends PanelContent {
  readonly words: Words;
  /** Rows lead to the service that their label `service` names. */
  readonly leadsToService?: boolean;
}

/** One row for each series, coloured by what it is at the time. */
export function timeline(content: TimelineContent): Unplaced {
  const { words, leadsToService = false } = content;
  const custom: stateTimelineKind.FieldConfig = { fillOpacity: 80, lineWidth: 0 };
  const options: stateTimelineKind.Options = {
    mergeValues: true,
    rowHeight: 0.85,
    showValue: VisibilityMode.Never,
    legend: { displayMode: LegendDisplayMode.List, placement: 'bottom', showLegend: true, calcs: [] },
    tooltip: { mode: TooltipDisplayMode.Single, sort: SortOrder.None },
  };
  const links = leadsToService && { links: [SERVICE_LINK] };
  const more = { ...wording(words), custom: { ...custom }, ...links };
  return { ...shared('state-timeline', content, more), options: { ...options } };
}

type Overrides = NonNullable<Panel['fieldConfig']>['overrides'];

/** Swarm puts 25 letters and digits behind the number of a replica: nobody reads them, and they fill a legend. */
const WITHOUT_TASK_ID = {
  id: 'renameByRegex',
  options: { regex: '^(.*\\.\\d+)\\.[a-z0-9]{25}$', renamePattern: '$1' },
};

function shared(type: string, content: PanelContent, more: FieldConfig, overrides: Overrides = []): Unplaced {
  return {
    type,
    title: content.title,
    description: content.description,
    datasource: DATASOURCE,
    targets: content.queries.map(({ expr, legend, exemplar }, index) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + index),
      datasource: DATASOURCE,
      editorMode: 'code',
      expr,
      legendFormat: legend,
      range: true,
      ...(exemplar && { exemplar }),
    })),
    ...(content.queries.some(({ legend }) => legend.endsWith('{{instance}}')) && {
      transformations: [WITHOUT_TASK_ID],
    }),
    fieldConfig: { defaults: defaults(content, more), overrides },
  };
}

function defaults({ unit, thresholds = [], min = 0, max }: PanelContent, more: FieldConfig): FieldConfig {
  const steps: readonly Step[] = thresholds.length > 0 ? thresholds : [[null, HEALTHY]];
  return {
    unit,
    min,
    ...(max !== undefined && { max }),
    thresholds: {
      mode: ThresholdsMode.Absolute,
      // JSON knows no -Infinity, which null stands for.
      steps: steps.map(([value, color]) => ({ value, color }) as Threshold),
    },
    ...more,
  };
}

function wording(words: Words = {}): FieldConfig {
  if (Object.keys(words).length === 0) return {};
  const options = Object.fromEntries(
    Object.entries(words).map(([value, [text, color]], index) => [value, { text, color, index }]),
  );
  const mapping: ValueMapping = { type: MappingType.ValueToText, options };
  return { mappings: [mapping] };
}
