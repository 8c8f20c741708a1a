import { api, outcome } from '../../api/client.ts';
import { useRefusal } from '../../api/permissions.ts';
import { useResource } from '../../api/resource.ts';
import { base } from '../../parts/address.ts';
import { Time } from '../../parts/time.tsx';

/** How often the account is looked at, in ms. */
const everyMs = 10_000;

/** Why a mail waits where its whole account does not send, and the way to where that is mended. */
export function WaitingReason({ account }: { readonly account: string }) {
  const refusal = useRefusal('account-status');
  const status = useResource(
    refusal === undefined ? `status ${account}` : undefined,
    (signal) => outcome(api.GET('/accounts/{account}/status', { params: { path: { account } }, signal })),
    { everyMs },
  );
  const trouble = status.data?.failing.find(({ side }) => side === 'transport');
  const missing = status.data?.secrets.filter(({ state }) => state === 'missing' || state === 'ended') ?? [];
  const link = <a href={`${base}/accounts/${account}`}>{account}</a>;
  return (
    <div role="status">
      {status.data?.enabled === false && (
        <p class="notice warn">The account {link} is disabled: its mail waits until it is enabled.</p>
      )}
      {trouble && (
        <p class="notice bad">
          The account {link} does not send since <Time at={trouble.since} />
          {trouble.code && (
            <>
              {' '}
              (<code>{trouble.code}</code>)
            </>
          )}
          . {trouble.hint} Its waiting mail is sent once that is mended in its{' '}
          <a href={`${base}/accounts/${account}/settings`}>settings</a>.
        </p>
      )}
      {missing.map(({ name, state }) => (
        <p class="notice bad" key={name}>
          The secret <code>{name}</code> of {link} {state === 'missing' ? 'is missing' : 'has ended'}.
        </p>
      ))}
    </div>
  );
}
