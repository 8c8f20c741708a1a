import { expect, onTestFinished } from 'vitest';
import type { TestInbox } from '../inbox.test-support.ts';
import { type AccountLease, acquireLease } from './lease.ts';
import type { LeaseView } from './turn-row.ts';

/** The lease of an account that is free; it is given back when the test has ended. */
export async function takenBy({ context, name }: TestInbox, view: LeaseView): Promise<AccountLease> {
  const lease = await acquireLease(context, name, view);
  if (!('release' in lease)) return expect.fail('the lease is not free');
  onTestFinished(() => lease.release());
  return lease;
}
