import { badInput, HttpProblem, type Mistake } from '../../http/problem.ts';
import { checkFields, peek } from '../../http/validation.ts';
import { accountNameSchema } from '../model.ts';
import { resolveAccount } from '../rules.ts';
import { mapEnds } from './ends.ts';
import { mapImport } from './import-rule.ts';
import { leftOver } from './left-over.ts';
import { distinctSecrets, type NewSecret } from './new-secrets.ts';
import {
  type GivenProperty,
  type PropertyReport,
  propertiesFormSchema,
  readObject,
  readText,
} from './properties-form.ts';
import { PropertySheet } from './property-sheet.ts';
import { declaredEnds } from './protocols.ts';
import { mapSenders } from './sender-fields.ts';

/** A body of `PUT /accounts/{account}` in properties, as the ordinary body that it stands for. */
export interface FromProperties {
  readonly input: Readonly<Record<string, unknown>>;
  readonly report: readonly PropertyReport[];
  /** What Jakarta Mail would do otherwise, at fields of the account. */
  readonly notes: readonly Mistake[];
  /** For Key Vault, before the account is saved. */
  readonly secrets: readonly NewSecret[];
}

export interface FromPropertiesOptions {
  /** Whether Key Vault has a secret. */
  readonly hasSecret: (name: string) => Promise<boolean>;
}

/** True for the form of body that this file reads. */
export function isPropertiesForm(body: unknown): boolean {
  return typeof body === 'object' && body !== null && Object.hasOwn(body, 'properties');
}

/**
 * The account that Jakarta-Mail properties describe. Throws HttpProblem 400 with every mistake at once, told at the
 * properties they come from, and with the report of all properties. No value of a secret is in it.
 */
export async function accountFromProperties(
  account: string,
  body: unknown,
  { hasSecret }: FromPropertiesOptions,
): Promise<FromProperties> {
  const checked = checkFields(propertiesFormSchema, body);
  const given = peek(body, ['properties']);
  if (typeof given !== 'string' && (typeof given !== 'object' || given === null || Array.isArray(given)))
    throw badInput(checked.mistakes);
  const read = typeof given === 'string' ? readText(given) : { properties: readObject(given), mistakes: [] };
  // The import rule is checked once more with the account, where it stands beside the store.
  const formMistakes = [...checked.mistakes.filter(({ pointer }) => !pointer.startsWith('/import')), ...read.mistakes];

  // Nobody asks Key Vault for what cannot be a name.
  const isName = accountNameSchema.safeParse(account).success;
  const sheet = new PropertySheet(read.properties);
  const notes: Mistake[] = [];
  const found: NewSecret[] = [];
  const ends = declaredEnds(sheet, namesOf(read.properties), notes);
  const debug = sheet.boolean('mail.debug');
  sheet.used('mail.debug', 'debug: the protocol dialogue in the log, redacted, for one hour');
  const input = {
    ...mapSenders(sheet, ends, notes),
    ...(await mapEnds(sheet, ends, { account, notes, secrets: found, hasSecret: isName ? hasSecret : never })),
    import: mapImport(sheet, ends, peek(body, ['import'])),
    ...(debug === undefined ? {} : { debug }),
  };
  const secrets = distinctSecrets(sheet, found);
  const accountMistakes = sheet.takeAccountMistakes(mistakesOf(account, input));
  const report = sheet.report((name) => leftOver(sheet, ends, name));
  const mistakes = [...formMistakes, ...sheet.mistakes(), ...accountMistakes];
  if (mistakes.length > 0)
    throw new HttpProblem(400, 'The properties have mistakes.', { errors: mistakes, extensions: { report } });
  return { input, report, notes, secrets };
}

const never = async () => false;

const namesOf = (properties: readonly GivenProperty[]) => properties.map(({ name }) => name);

function mistakesOf(account: string, input: unknown): readonly Mistake[] {
  try {
    resolveAccount(account, input);
    return [];
  } catch (error) {
    if (error instanceof HttpProblem && error.errors) return error.errors;
    throw error;
  }
}
