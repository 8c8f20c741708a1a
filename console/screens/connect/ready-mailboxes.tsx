import { useEffect, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { isObject, type Problem } from '../../api/problem.ts';
import { currentKey, session } from '../../api/session.ts';
import { base } from '../../parts/address.ts';
import { Button } from '../../parts/button.tsx';
import type { Json } from '../../parts/draft.ts';
import { Section } from '../../parts/page.tsx';
import { ProblemBox } from '../../parts/problem-box.tsx';
import { tell } from '../../parts/toast.tsx';
import { putAccount, putSecrets, type Secrets } from '../account/account-requests.ts';

/** Where an installation may offer mailboxes that are ready to be connected. Where it offers none, that is 404. */
const place = '/.well-known/mailroom-mailboxes';

interface ReadyMailbox {
  readonly name: string;
  readonly title: string;
  /** A body for `PUT /accounts/{account}`. */
  readonly account: Json;
  readonly secrets: Secrets;
}

/** Mailboxes that this installation offers, each connected with one click. */
export function ReadyMailboxes() {
  const { route } = useLocation();
  const [offered, setOffered] = useState<readonly ReadyMailbox[]>([]);
  const [problem, setProblem] = useState<Problem>();
  const { by } = session.value;
  useEffect(() => {
    void load().then(setOffered);
  }, [by]);
  if (offered.length === 0) return null;
  const connect = async ({ name, account, secrets }: ReadyMailbox) => {
    const answer = await putAccount(name, account, { etag: undefined });
    const wrong = answer.ok ? await putSecrets(name, secrets, {}) : answer.problem;
    setProblem(wrong);
    if (wrong) return;
    tell(`${name} is connected`);
    route(`${base}/accounts/${name}/import`);
  };
  return (
    <Section title="Ready to be connected">
      <ProblemBox problem={problem} />
      <div class="actions">
        {offered.map((mailbox) => (
          <Button key={mailbox.name} kind="main" needs="account-put" onClick={() => connect(mailbox)}>
            {mailbox.title}
          </Button>
        ))}
      </div>
    </Section>
  );
}

async function load(): Promise<readonly ReadyMailbox[]> {
  const key = currentKey();
  if (key === undefined) return [];
  try {
    const answer = await fetch(place, { headers: { 'x-functions-key': key } });
    const body: unknown = answer.ok ? await answer.json() : [];
    return Array.isArray(body) ? body.filter(isReadyMailbox) : [];
  } catch {
    return [];
  }
}

function isReadyMailbox(value: unknown): value is ReadyMailbox {
  return (
    isObject(value) &&
    typeof value.name === 'string' &&
    typeof value.title === 'string' &&
    isObject(value.account) &&
    isObject(value.secrets)
  );
}
