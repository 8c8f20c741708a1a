import type { Value } from '../read/functions.ts';
import { isObject } from '../read/functions.ts';
import { at, differences, isMailStorage, ofType, type Rule, strings } from './subject.ts';

/** The mail's account has what the code names and nothing else, the host's only the container of the package. */
export const storageNames: Rule = function* (subject) {
  const { expected } = subject;
  const kinds = [
    ['Containers', 'blobServices/containers', expected.containers, 1],
    ['Queues', 'queueServices/queues', expected.queues, 0],
    ['Tables', 'tableServices/tables', expected.tables, 0],
  ] as const;
  const accounts = ofType(subject, 'Microsoft.Storage/storageAccounts');
  if (accounts.length !== 2) yield `There are ${accounts.length} storage accounts, not the host's and the mail's`;
  for (const [what, kind, names, ofHost] of kinds) {
    const all = ofType(subject, `Microsoft.Storage/storageAccounts/${kind}`);
    const ofMail = all.filter(({ id }) => isMailStorage(id));
    yield* differences(
      what,
      ofMail.map(({ name }) => name),
      names,
    );
    if (all.length - ofMail.length !== ofHost) yield `${what} of the host's storage: ${all.length - ofMail.length}`;
  }
};

/** Lifecycle rules are a net below the code's own deletion: of the outbox alone, and never before it. */
export const lifecycle: Rule = function* (subject) {
  const policies = ofType(subject, 'Microsoft.Storage/storageAccounts/managementPolicies');
  const rules = policies.flatMap((policy) => {
    const list = at(policy, 'properties.policy.rules');
    return Array.isArray(list) ? (list as readonly Value[]) : [];
  });
  if (policies.some(({ id }) => !isMailStorage(id))) yield "Nothing of the host's storage expires";
  const settings = ofType(subject, 'Microsoft.Web/sites/config').find(({ name }) => name === 'appsettings');
  const kept = settings && Number(at(settings, 'properties.OUTBOX_RETENTION_DAYS'));
  const seen: string[] = [];
  for (const rule of rules) {
    const within = (path: string) => at({ ...noResource, body: isObject(rule) ? rule : {} }, path);
    seen.push(...strings(within('definition.filters.prefixMatch')));
    const days = within('definition.actions.baseBlob.delete.daysAfterModificationGreaterThan');
    const needed = subject.expected.longestOpenDays + (kept ?? Number.NaN);
    if (within('enabled') !== true) yield 'A lifecycle rule is switched off';
    if (typeof days !== 'number' || !(days > needed)) {
      yield `The outbox expires after ${String(days)} days; the code may need it for ${needed}`;
    }
  }
  yield* differences('What expires', seen, ['outbox/']);
};

const noResource = { type: '', apiVersion: '', id: '', name: '', scope: undefined };
