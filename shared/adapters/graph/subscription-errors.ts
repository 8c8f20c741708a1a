import { StoreError } from '../store.ts';

/** The code of a handshake that failed. */
const validationCode = 'VALIDATION';

const validationHint =
  'Graph calls PUBLIC_URL with /api/graph/notifications, and did not get the answer it wants within 10 seconds. Check PUBLIC_URL, and what stands in front of the app: a sign-in (the path must be excluded), a gateway, access restrictions.';
const existsHint =
  'The app registration has a subscription to this folder already: of another account, or of another service. Graph allows one. Let one account have push, or use an app registration of its own.';

/** Graph made no subscription, because the app did not answer its call. */
export function validationError(): StoreError {
  return new StoreError('protocol', 'Graph could not call the app', { code: validationCode, hint: validationHint });
}

/** Whether it is that error. */
export function isValidationError(error: unknown): error is StoreError {
  return error instanceof StoreError && error.code === validationCode;
}

/** The trouble of a folder that another subscription of the app already watches. */
export function takenError(): StoreError {
  return new StoreError('permission', 'the app registration has another subscription to the folder', {
    code: 'SUBSCRIPTION_EXISTS',
    hint: existsHint,
  });
}
