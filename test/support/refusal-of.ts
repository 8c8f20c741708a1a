import { Refusal } from '../../shared/platform/refusal.ts';

export type { Refusal };

/** What a call was refused with. Fails where it was not. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  const outcome = await call.then(
    () => 'it was not refused',
    (error: unknown) => error,
  );
  if (outcome instanceof Refusal) return outcome;
  throw outcome instanceof Error ? outcome : new Error(String(outcome));
}
