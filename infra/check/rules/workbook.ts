import { z } from 'zod';
import type { Value } from '../read/functions.ts';
import { only } from './always.ts';
import { at, differences, isMailStorage, ofType, type Rule, type Subject, same } from './subject.ts';

/** A panel that asks the workspace. */
const panelSchema = z.object({
  type: z.literal(3),
  content: z.object({
    version: z.literal('KqlItem/1.0'),
    title: z.string(),
    query: z.string(),
    visualization: z.enum(['table', 'timechart']),
    resourceType: z.literal('microsoft.operationalinsights/workspaces'),
    crossComponentResources: z.array(z.string()),
    timeContext: z.object({ durationMs: z.number() }),
    timeContextFromParameter: z.literal('Time').optional(),
  }),
});

/** A chart of platform metrics. */
const metricsSchema = z.object({
  type: z.literal(10),
  content: z.object({
    version: z.literal('MetricsItem/2.0'),
    resourceIds: z.array(z.string()),
    timeContextFromParameter: z.literal('Time'),
    metrics: z.array(z.object({ namespace: z.string(), metric: z.string(), aggregation: z.literal(1) })),
  }),
});

/** What the reader chooses: a time (4), or values that a query finds (2). */
const choicesSchema = z.object({
  type: z.literal(9),
  content: z.object({
    version: z.literal('KqlParameterItem/1.0'),
    parameters: z.array(
      z.object({
        name: z.string(),
        type: z.union([z.literal(2), z.literal(4)]),
        query: z.string().optional(),
        crossComponentResources: z.array(z.string()).optional(),
      }),
    ),
  }),
});

const contentSchema = z.object({
  version: z.literal('Notebook/1.0'),
  items: z.array(z.discriminatedUnion('type', [panelSchema, metricsSchema, choicesSchema])),
});

interface Panel {
  /** What it looks for in the logs. */
  readonly events: readonly string[];
  /** How many days it always shows; 0: the time that the reader chose. */
  readonly days: number;
}

const runs = ['inbox.run', 'inbox.runFailed', 'inbox.sweep'];

const panels: Readonly<Record<string, Panel>> = {
  'Mails in and out, by hour': { events: [...runs, 'outbox.accepted', 'outbox.attempt', 'outbox.bounced'], days: 0 },
  'Mails in and out, by day and account': {
    events: [...runs, 'inbox.retention', 'outbox.accepted', 'outbox.attempt', 'outbox.canceled'],
    days: 0,
  },
  'Failures by code': { events: ['outbox.attempt', 'account.failing'], days: 0 },
  'Accounts that fail now': { events: ['account.failing', 'account.recovered'], days: 2 },
  'Backlog: mails to import, by hour': { events: ['inbox.backlog'], days: 0 },
  'Mails to import now': { events: ['inbox.backlog'], days: 1 },
  'Mails to send now': { events: ['outbox.accepted', 'outbox.attempt', 'outbox.canceled'], days: 3 },
  'Seconds from acceptance to sent, by hour': { events: ['outbox.attempt'], days: 0 },
  'Milliseconds of attempts and deliveries, by account': { events: ['outbox.attempt'], days: 0 },
  Throttles: { events: ['provider.throttled'], days: 0 },
  'Storage operations that are logged': { events: [], days: 0 },
};

const dayMs = 86_400_000;

/** Every query that a workbook asks, those for its choices included. Throws ZodError where it is no workbook. */
export function workbookQueries(content: string): readonly string[] {
  return contentSchema
    .parse(JSON.parse(content))
    .items.flatMap((item) =>
      item.type === 3
        ? [item.content.query]
        : item.type === 9
          ? item.content.parameters.flatMap(({ query }) => query ?? [])
          : [],
    );
}

/** The workbook is there for everybody, has each panel, and each asks the workspace for what its title says. */
export const workbook: Rule = function* (subject) {
  const resource = only(subject, 'Microsoft.Insights/workbooks');
  if (!resource) {
    yield 'There is not one workbook';
    return;
  }
  const workspaces = ofType(subject, 'Microsoft.OperationalInsights/workspaces').map(({ id }) => id);
  const wanted: Readonly<Record<string, Value>> = {
    kind: 'shared',
    'properties.category': 'workbook',
    'properties.sourceId': workspaces[0] ?? '',
  };
  for (const [path, value] of Object.entries(wanted)) {
    if (!same(at(resource, path), value)) yield `${resource.id}: ${path} is not ${JSON.stringify(value)}`;
  }
  const parsed = contentSchema.safeParse(JSON.parse(String(at(resource, 'properties.serializedData'))));
  if (!parsed.success) {
    yield `${resource.id}: ${z.prettifyError(parsed.error)}`;
    return;
  }
  const { items } = parsed.data;
  const found = items.flatMap((item) => (item.type === 3 ? [item.content] : []));
  yield* differences(
    'Panels',
    found.map(({ title }) => title),
    Object.keys(panels),
  );
  for (const panel of found) {
    yield* panelFindings(panel, workspaces);
  }
  for (const { query, crossComponentResources } of items.flatMap((item) =>
    item.type === 9 ? item.content.parameters : [],
  )) {
    if (query !== undefined && !same(crossComponentResources, workspaces)) yield 'A choice asks another workspace';
  }
  yield* transactionFindings(
    items.flatMap((item) => (item.type === 10 ? [item.content] : [])),
    subject,
  );
};

function* panelFindings(panel: z.infer<typeof panelSchema>['content'], workspaces: readonly string[]) {
  const { title, query, crossComponentResources, timeContext, timeContextFromParameter } = panel;
  const { events = [], days } = panels[title] ?? {};
  if (!same(crossComponentResources, workspaces)) yield `The panel ${title} asks another workspace`;
  const shown = timeContextFromParameter ? 0 : timeContext.durationMs / dayMs;
  if (shown !== days) yield `The panel ${title} shows ${shown} days, not ${days}`;
  const named = [...query.matchAll(/'([a-z]+\.[a-zA-Z]+)'/g)].map((match) => match[1] ?? '');
  yield* differences(`Events of the panel ${title}`, [...new Set(named)], events);
  if (events.length > 0 && !query.includes('account in ({Account})')) {
    yield `The panel ${title} does not follow the choice of accounts`;
  }
  if (panel.visualization === 'timechart' && !query.includes('bin(TimeGenerated, ')) {
    yield `The panel ${title} is a chart of time without time`;
  }
}

function* transactionFindings(charts: readonly z.infer<typeof metricsSchema>['content'][], subject: Subject) {
  const mailStorage = ofType(subject, 'Microsoft.Storage/storageAccounts').filter(({ id }) => isMailStorage(id));
  const [chart] = charts;
  if (!chart || charts.length > 1) {
    yield `The workbook has ${charts.length} charts of storage transactions`;
    return;
  }
  if (
    !same(
      chart.resourceIds,
      mailStorage.map(({ id }) => id),
    )
  ) {
    yield 'The workbook shows the transactions of another storage account';
  }
  const metrics = chart.metrics.map(({ metric }) => metric);
  yield* differences('Metrics', metrics, ['microsoft.storage/storageaccounts-Transaction-Transactions']);
}
