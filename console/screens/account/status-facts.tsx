import type { ComponentChildren } from 'preact';
import type { Status } from '../../api/account.ts';
import { base } from '../../parts/address.ts';
import { Pill } from '../../parts/pill.tsx';
import { Time } from '../../parts/time.tsx';

/** What an operator asks first about an account. */
export function StatusFacts({ status }: { readonly status: Status }) {
  const { account, lastRun, transport } = status;
  const facts: readonly (readonly [string, ComponentChildren])[] = [
    ['Waiting to be sent', count(transport.waiting, transport.oldestWaiting)],
    ['Failed within a day', transport.failedWithinDay],
    ['Last import', lastRun ? <Time at={lastRun.startedAt} distance /> : 'never'],
    ['Backlog', count(status.backlog, status.oldestNotImported)],
    ['Tried again later', status.pending],
    ['Quarantine', <a href={`${base}/quarantine?account=${account}`}>{status.quarantined}</a>],
    ['Deletions to come', status.deletionsToCome],
    ['Webhook', <a href={`${base}/webhook/${account}`}>{status.webhook.state}</a>],
    ...(status.push ? [['Push', pushText(status.push)] as const] : []),
  ];
  return (
    <>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <Troubles status={status} />
    </>
  );
}

type Push = NonNullable<Status['push']>;

/** Whether Microsoft Graph tells of new mail, in a word. */
function pushText({ folders }: Push): string {
  const standing = folders.filter(({ state }) => state === 'active').length;
  return standing === folders.length ? 'on' : `${standing} of ${folders.length} folders`;
}

function count(number: number, oldest: string | null): ComponentChildren {
  if (oldest === null) return number;
  return (
    <>
      {number}, the oldest <Time at={oldest} distance />
    </>
  );
}

function Troubles({ status }: { readonly status: Status }) {
  const { failing, lastErrors, secrets, transport, disposalsFailing, push } = status;
  const ending = secrets.filter(({ state }) => state !== 'ok');
  const { lastFailure } = transport;
  return (
    <>
      {failing.map(({ side, since, code, hint }) => (
        <p class="notice bad" key={side}>
          {side}: fails since <Time at={since} />. {hint} {code && <code>{code}</code>}
        </p>
      ))}
      {push?.folders.map(({ folder, state, hint, code }) =>
        state === 'active' ? null : (
          <p class="notice warn" key={folder}>
            Microsoft Graph does not tell of new mail in <code>{folder}</code>
            {state === 'pending' ? ' yet: it is about to be asked to.' : `. ${hint ?? 'It is asked again.'}`}{' '}
            {code && <code>{code}</code>}
          </p>
        ),
      )}
      {ending.length > 0 && (
        <ul>
          {ending.map(({ name, state, expiresAt }) => (
            <li key={name}>
              Secret <code>{name}</code>: <Pill kind={state === 'ending' ? 'warn' : 'bad'}>{state}</Pill>{' '}
              {expiresAt && <Time at={expiresAt} />}
            </li>
          ))}
        </ul>
      )}
      {lastFailure && (
        <p>
          The last mail that failed: <a href={`${base}/outbox/${lastFailure.message}`}>{lastFailure.message}</a>,{' '}
          <Time at={lastFailure.at} distance />. {lastFailure.hint}{' '}
          {lastFailure.code && <code>{lastFailure.code}</code>}
        </p>
      )}
      {disposalsFailing.count > 0 && (
        <p class="notice warn">
          {disposalsFailing.count} originals could not be marked, moved or deleted; they are tried again.
        </p>
      )}
      {lastErrors.length > 0 && (
        <details>
          <summary>Last errors of imports</summary>
          <ul>
            {lastErrors.map(({ runId, at, error }) => (
              <li key={runId}>
                <Time at={at} />: {error}
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}
