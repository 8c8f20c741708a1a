import { useEffect, useState } from 'preact/hooks';
import type { Verification } from '../../api/account.ts';
import type { Problem } from '../../api/problem.ts';
import { at, type Json } from '../../parts/draft.ts';
import { type Secrets, verifyDraft } from './account-requests.ts';

/** Typing has paused for so long, in ms. */
const pauseMs = 900;

export interface LiveVerification {
  readonly verification: Verification | undefined;
  /** What the service finds wrong with the account itself. */
  readonly problem: Problem | undefined;
  readonly busy: boolean;
}

const nothing: LiveVerification = { verification: undefined, problem: undefined, busy: false };

/** Tries what was typed each time that typing pauses and there is enough to try. `name` empty: nothing is tried. */
export function useLiveVerify(name: string, draft: Json, secrets: Secrets, isStored = false): LiveVerification {
  const [state, setState] = useState<LiveVerification>(nothing);
  const enough = name !== '' && isEnough(draft, secrets, isStored);
  const typed = enough ? JSON.stringify([name, draft, secrets]) : '';
  useEffect(() => {
    setState((before) => ({ ...before, busy: false }));
    if (typed === '') return undefined;
    const controller = new AbortController();
    const timer = setTimeout(async () => {
      setState((before) => ({ ...before, busy: true }));
      const answer = await verifyDraft(name, { draft, secrets }, controller.signal);
      if (controller.signal.aborted) return;
      setState(
        answer.ok
          ? { verification: answer.data, problem: undefined, busy: false }
          : { verification: undefined, problem: answer.problem, busy: false },
      );
    }, pauseMs);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [typed]);
  return typed === '' ? nothing : state;
}

/** Whether there is something to try: a sender, and for each side where it is and how to sign in. */
function isEnough(draft: Json, secrets: Secrets, isStored: boolean): boolean {
  const has = (pointer: string) => {
    const found = at(draft, pointer);
    return typeof found === 'string' ? found !== '' : typeof found === 'number';
  };
  const hasSecret = (pointer: string) => isStored || Boolean(secrets[String(at(draft, pointer) ?? '')]);
  const hasApp = (pointer: string) =>
    at(draft, `${pointer}/type`) === 'managedIdentity' ||
    (has(`${pointer}/tenantId`) && has(`${pointer}/clientId`) && hasSecret(`${pointer}/secret`));
  const isReady = (side: string) => {
    const protocol = at(draft, `${side}/protocol`);
    if (protocol === undefined || protocol === 'sink') return true;
    if (protocol === 'graph') return has(`${side}/userId`) && hasApp(`${side}/credential`);
    if (!has(`${side}/host`)) return false;
    const type = at(draft, `${side}/auth/type`);
    if (type === 'password') return has(`${side}/auth/user`) && hasSecret(`${side}/auth/secret`);
    return type !== 'oauth2' || (has(`${side}/auth/user`) && hasApp(`${side}/auth/credential`));
  };
  const any = at(draft, '/store') !== undefined || at(draft, '/transport') !== undefined;
  return has('/from') && any && isReady('/store') && isReady('/transport');
}
