import type { Value } from '../read/functions.ts';
import { at, ofType, type Rule, same } from './subject.ts';

/** The topic is there where it was asked for, takes CloudEvents of Entra identities alone, and the app knows its endpoint. */
export const eventGrid: Rule = function* (subject) {
  const topics = ofType(subject, 'Microsoft.EventGrid/topics');
  if (topics.length !== (subject.everything ? 1 : 0)) yield `There are ${topics.length} Event Grid topics`;
  const wanted: Readonly<Record<string, Value>> = {
    'properties.inputSchema': 'CloudEventSchemaV1_0',
    'properties.disableLocalAuth': true,
    'properties.minimumTlsVersionAllowed': '1.2',
  };
  const settings = ofType(subject, 'Microsoft.Web/sites/config').find(({ name }) => name === 'appsettings');
  const endpoint = settings && at(settings, 'properties.EVENT_GRID_TOPIC_ENDPOINT');
  for (const topic of topics) {
    for (const [path, value] of Object.entries(wanted)) {
      const is = at(topic, path);
      if (!same(is, value)) yield `${topic.id}: ${path} is ${JSON.stringify(is)}, not ${JSON.stringify(value)}`;
    }
    if (endpoint !== `⟨${topic.id}⟩.properties.endpoint`) yield `The app publishes to ${String(endpoint)}`;
  }
};
