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
    ['Webhook', status.webhook.state],
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

function count(number: number, oldest: string | null): ComponentChildren {
  if (oldest === null) return number;
  return (
    <>
      {number}, the oldest <Time at={oldest} distance />
    </>
  );
}

function Troubles({ status }: { readonly status: Status }) {
  const { failing, lastErrors, secrets, transport, disposalsFailing } = status;
  const ending = secrets.filter(({ state }) => state !== 'ok');
  const { lastFailure } = transport;
  return (
    <>
      {failing.map(({ side, since, code, hint }) => (
        <p class="notice bad" key={side}>
          {side}: fails since <Time at={since} />. {hint} {code && <code>{code}</code>}
        </p>
      ))}
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
