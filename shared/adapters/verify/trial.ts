import { z } from 'zod';
import { secretNameSchema } from '../../accounts/model.ts';
import { secretValueSchema } from '../../accounts/put-secret.ts';
import { type Account, isSecretNameOf, resolveAccount } from '../../accounts/rules.ts';
import { badInput, type Mistake, Refusal } from '../../platform/refusal.ts';
import { checkFields, toPointer } from '../../platform/validation.ts';

/** Secrets that one verification takes at most: an account names four. */
const maxSecrets = 10;

/** The body of `POST /accounts/{account}/verify`; `account` is a body as for `PUT`. */
export const verifyInputSchema = z.strictObject({
  account: z.unknown().optional(),
  secrets: z
    .record(z.string().max(127), secretValueSchema)
    .refine((secrets) => Object.keys(secrets).length <= maxSecrets, `must be at most ${maxSecrets} secrets`)
    .optional(),
});

/** What is tried that is not stored. */
export interface Trial {
  /** Undefined: the account as it is stored. */
  readonly account: Account | undefined;
  /** Values by name, in lower case. */
  readonly secrets: ReadonlyMap<string, string>;
}

/** What is stored of the account that is tried. */
export interface TrialOptions {
  readonly before: Account | undefined;
  readonly hasSecret: (name: string) => Promise<boolean>;
}

/** Reads a body of `verify`. Throws Refusal `invalid` with every mistake. Stores nothing. */
export async function readTrial(name: string, body: unknown, options: TrialOptions): Promise<Trial> {
  const checked = checkFields(verifyInputSchema, body ?? {});
  const mistakes: Mistake[] = [...checked.mistakes];
  const secrets = new Map<string, string>();
  for (const [secret, value] of Object.entries(checked.fields.secrets ?? {})) {
    if (!secretNameSchema.safeParse(secret).success || !isSecretNameOf(name, secret))
      mistakes.push({ pointer: toPointer(['secrets', secret]), detail: `the name must start with "${name}-"` });
    secrets.set(secret.toLowerCase(), value);
  }
  let account: Account | undefined;
  let details: Readonly<Record<string, unknown>> = {};
  try {
    const given = checked.fields.account;
    if (given !== undefined && given !== null) account = await resolved(name, given, secrets, options);
  } catch (error) {
    if (!(error instanceof Refusal) || !error.mistakes) throw error;
    details = error.details;
    mistakes.push(...error.mistakes.map(({ pointer, detail }) => ({ pointer: `/account${pointer}`, detail })));
  }
  if (mistakes.length > 0) {
    const { message } = badInput(mistakes);
    throw new Refusal('invalid', message, { mistakes, details });
  }
  return { account, secrets };
}

async function resolved(
  name: string,
  given: unknown,
  secrets: Map<string, string>,
  options: TrialOptions,
): Promise<Account> {
  const { accountFromProperties, isPropertiesForm } = await import(
    '../../accounts/properties/account-from-properties.ts'
  );
  if (!isPropertiesForm(given)) return resolveAccount(name, given).account;
  const hasSecret = async (secret: string) => secrets.has(secret.toLowerCase()) || (await options.hasSecret(secret));
  const { input, secrets: found } = await accountFromProperties(name, given, { hasSecret, before: options.before });
  for (const { name: secret, value } of found)
    if (!secrets.has(secret.toLowerCase())) secrets.set(secret.toLowerCase(), value);
  return resolveAccount(name, input).account;
}
