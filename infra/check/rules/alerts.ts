import type { Value } from '../read/functions.ts';
import { isObject } from '../read/functions.ts';
import { at, differences, ofType, type Rule, same } from './subject.ts';

interface Alert {
  /** What it looks for in the logs (`{"event": "account.failing", …}`). */
  readonly events: readonly string[];
  /** When it is raised, in the parameters' default. */
  readonly when: string;
}

const alerts: Readonly<Record<string, Alert>> = {
  'poison-queue': { events: ['queue.gaveUp'], when: 'Total of moved GreaterThan 0' },
  'account-failing': { events: ['account.failing', 'account.recovered'], when: 'Total of failing GreaterThan 0' },
  'import-backlog': { events: ['inbox.backlog'], when: 'Maximum of oldestAgeSeconds GreaterThan 3600' },
  'webhook-given-up': { events: ['webhook.givenUp'], when: 'Total of events GreaterThan 0' },
  'topic-failing': {
    events: ['events.topicFailing', 'events.topicStillFailing', 'events.topicWorks'],
    when: 'Total of failing GreaterThan 0',
  },
  'timer-silent': { events: ['timer.overdue'], when: 'Maximum of minutes GreaterThan 0' },
  'secret-expiring': { events: ['secrets.expiring'], when: 'Minimum of days LessThanOrEqual 14' },
};

/** What the host logs when it gives a message up (QueueProcessor of the WebJobs SDK), and where storage logs the rest. */
const poisonWords: readonly string[] = [
  '"Message has reached MaxDequeueCount of "',
  '"-poison"',
  'StorageQueueLogs',
  '"PutMessage", "DeleteMessage", "ClearMessages"',
];

/** Each alert is there, asks the workspace, measures a column that its query has, and notifies the action group. */
export const alertRules: Rule = function* (subject) {
  const rules = ofType(subject, 'Microsoft.Insights/scheduledQueryRules');
  const workspaces = ofType(subject, 'Microsoft.OperationalInsights/workspaces').map(({ id }) => id);
  const groups = ofType(subject, 'Microsoft.Insights/actionGroups').map(({ id }) => id);
  if (groups.length !== (subject.everything ? 1 : 0)) yield `There are ${groups.length} action groups`;
  for (const [name, { events, when }] of Object.entries(alerts)) {
    const rule = rules.find((one) => one.name.startsWith(`alert-${name}-`));
    if (!rule) {
      yield `There is no alert ${name}`;
      continue;
    }
    if (at(rule, 'properties.enabled') !== true) yield `${rule.id} is switched off`;
    if (!same(at(rule, 'properties.scopes'), workspaces)) yield `${rule.id} asks another workspace`;
    if (!same(at(rule, 'properties.actions.actionGroups'), groups)) yield `${rule.id} tells somebody else`;
    const all = at(rule, 'properties.criteria.allOf');
    const [criterion] = Array.isArray(all) ? (all as readonly Value[]) : [];
    if (!isObject(criterion) || typeof criterion.query !== 'string') {
      yield `${rule.id} has no query`;
      continue;
    }
    const { timeAggregation, metricMeasureColumn, operator, threshold } = criterion;
    const is = `${timeAggregation} of ${metricMeasureColumn} ${operator} ${threshold}`;
    if (is !== when) yield `${rule.id} is raised by ${is}, not by ${when}`;
    const named = [...criterion.query.matchAll(/"([a-z]+\.[a-zA-Z]+)"/g)].map((match) => match[1] ?? '');
    yield* differences(`Events of the alert ${name}`, [...new Set(named)], events);
    for (const word of name === 'poison-queue' ? poisonWords : []) {
      if (!criterion.query.includes(word)) yield `${rule.id}: ${word} is not looked for`;
    }
    const dimensions = Array.isArray(criterion.dimensions) ? (criterion.dimensions as readonly Value[]) : [];
    const columns = lastProject(criterion.query);
    for (const column of [metricMeasureColumn, ...dimensions.map((one) => isObject(one) && one.name)]) {
      if (!columns.includes(String(column))) yield `${rule.id}: the query has no column ${String(column)}`;
    }
  }
};

function lastProject(query: string): readonly string[] {
  const last = query.split('\n').findLast((line) => line.startsWith('| project '));
  return (last ?? '')
    .slice('| project '.length)
    .split(',')
    .map((column) => column.split('=')[0]?.trim() ?? '');
}
