import type { components } from '../../api/openapi.d.ts';

type Verification = components['schemas']['Verification'];
export type Side = 'transport' | 'store';
type Step = NonNullable<Verification['store']>['steps'][number];

/** Fields that a step of a verification is about. */
export interface StepHints {
  readonly protocol?: string;
  readonly host?: string;
  readonly port?: string;
  readonly tls?: string;
  readonly user?: string;
  readonly secret?: string;
  readonly folders?: string;
}

/** Where a person changes something when a step fails. */
const fieldOf: Readonly<Record<Step['step'], keyof StepHints>> = {
  resolve: 'host',
  connect: 'port',
  tls: 'tls',
  signIn: 'secret',
  permission: 'user',
  folder: 'folders',
  subscription: 'folders',
};

/** Steps in plain words. */
export const stepNames: Readonly<Record<Step['step'], string>> = {
  resolve: 'Find the host',
  connect: 'Connect',
  tls: 'Encrypt',
  signIn: 'Sign in',
  permission: 'Be allowed',
  folder: 'Open the folders',
  subscription: 'Be told of new mail',
};

/** What a person can do about the steps that failed, by the field where they can do it. */
export function stepHints(side: Side, verification: Verification | undefined): StepHints {
  const failed = verification?.[side]?.steps.filter(({ status }) => status === 'failed') ?? [];
  return Object.fromEntries(failed.map((step) => [fieldOf[step.step], hintOf(step) ?? step.code ?? 'It failed.']));
}

/** What a person can do about a step, by the names that the fields have here. */
export function hintOf({ hint, detail }: Step): string | undefined {
  return (hint ?? detail)?.replace('auth.user and the secret', 'user and password').replaceAll('auth.user', 'the user');
}

/** The name of a password's secret, as pasted properties name it. */
export function secretNameOf(account: string, protocol: string): string {
  return `${account || 'account'}-${protocol}-password`;
}
