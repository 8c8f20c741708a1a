import type { components, paths } from './openapi.d.ts';

type Body = NonNullable<paths['/accounts/{account}']['put']['requestBody']>['content']['application/json'];

/** An account as it is used. */
export type Account = components['schemas']['Account'];
/** How an account is doing. */
export type Status = components['schemas']['AccountStatus'];
/** Transport and store, tried step by step. */
export type Verification = components['schemas']['Verification'];
/** What became of an account that was saved, or would. */
export type SavedAccount = components['schemas']['SavedAccount'];
/** What an import would do. */
export type DryRun = components['schemas']['DryRun'];
/** One import. */
export type Run = paths['/accounts/{account}/runs/{runId}']['get']['responses'][200]['content']['application/json'];

/** The draft of an account as the body of a request: whether it is one is the service's to say. */
export function asAccountBody(draft: unknown): Body {
  return draft as Body;
}
