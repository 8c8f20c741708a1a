import { StoreError } from '../store.ts';
import { adviceOf } from '../store-troubles.ts';
import { networkFailure } from './server-steps.ts';
import { StepFailure } from './steps.ts';

/** A StoreError, or anything else a store's step met, as the step shows it. */
export function storeFailure(error: unknown): StepFailure {
  if (!(error instanceof StoreError)) return networkFailure(error);
  const { code, message, kind } = error;
  return new StepFailure({ code: code ?? kind, detail: message, hint: adviceOf(error) });
}
