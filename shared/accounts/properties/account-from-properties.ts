import { badInput, type Mistake, Refusal } from '../../platform/refusal.ts';
import { checkFields, peek } from '../../platform/validation.ts';
import { accountNameSchema } from '../model.ts';
import { type Account, resolveAccount } from '../rules.ts';
import { mapEndpoints } from './endpoints.ts';
import { mapImport } from './import-rule.ts';
import { keepExisting } from './keep-existing.ts';
import { distinctSecrets, type NewSecret } from './new-secrets.ts';
import {
  type GivenProperty,
  otherFormat,
  type PropertyReport,
  propertiesFormSchema,
  readObject,
  readText,
} from './properties-form.ts';
import { PropertyReader } from './property-reader.ts';
import { declaredProtocols } from './protocols.ts';
import { refusedReport } from './refused-report.ts';
import { mapSenders } from './sender-fields.ts';
import { explainUnused } from './unused-properties.ts';

/** A body of `PUT /accounts/{account}` in properties, as the ordinary body that it stands for. */
export interface FromProperties {
  readonly input: Readonly<Record<string, unknown>>;
  readonly report: readonly PropertyReport[];
  /** What Jakarta Mail would do otherwise, at fields of the account. */
  readonly notes: readonly Mistake[];
  /** For Key Vault, before the account is saved. */
  readonly secrets: readonly NewSecret[];
}

/** What is known beside the properties. */
export interface FromPropertiesOptions {
  /** The account as it is, for what properties cannot say. */
  readonly before?: Account | undefined;
  /** Whether Key Vault has a secret. */
  readonly hasSecret: (name: string) => Promise<boolean>;
}

/** True for the form of body that this file reads. */
export function isPropertiesForm(body: unknown): boolean {
  return typeof body === 'object' && body !== null && Object.hasOwn(body, 'properties');
}

/**
 * The account that Jakarta-Mail properties describe. Throws Refusal `invalid` with every mistake at once, reported at the
 * properties they come from, and with the report of all properties. No value of a secret is in it.
 */
export async function accountFromProperties(
  account: string,
  body: unknown,
  { hasSecret, before }: FromPropertiesOptions,
): Promise<FromProperties> {
  const checked = checkFields(propertiesFormSchema, body);
  const given = peek(body, ['properties']);
  if (typeof given !== 'string' && (typeof given !== 'object' || given === null || Array.isArray(given)))
    throw badInput(checked.mistakes);
  const other = typeof given === 'string' ? otherFormat(given) : undefined;
  if (other) throw badInput([...checked.mistakes, other]);
  const read = typeof given === 'string' ? readText(given) : { properties: readObject(given), mistakes: [] };
  // The import rule is checked once more with the account, where it stands beside the store.
  const formMistakes = [...checked.mistakes.filter(({ pointer }) => !pointer.startsWith('/import')), ...read.mistakes];

  // Nobody asks Key Vault for what cannot be a name.
  const isName = accountNameSchema.safeParse(account).success;
  const reader = new PropertyReader(read.properties);
  const notes: Mistake[] = [];
  const found: NewSecret[] = [];
  const protocols = declaredProtocols(reader, namesOf(read.properties), notes);
  const debug = reader.boolean('mail.debug');
  reader.used('mail.debug', 'debug: the protocol dialogue in the log, redacted, for one hour');
  const said = {
    ...mapSenders(reader, protocols, notes),
    ...(await mapEndpoints(reader, protocols, {
      account,
      notes,
      secrets: found,
      hasSecret: isName ? hasSecret : never,
    })),
    import: mapImport(reader, protocols, peek(body, ['import'])),
    ...(debug === undefined ? {} : { debug }),
  };
  const secrets = distinctSecrets(reader, found);
  const kept = keepExisting(
    account,
    said,
    before,
    secrets.map((each) => each.name),
  );
  const { input } = kept;
  const accountMistakes = reader.takeAccountMistakes(mistakesOf(account, input));
  const report = [...reader.report((name) => explainUnused(reader, protocols, name)), ...kept.report];
  const mistakes = [...formMistakes, ...reader.mistakes(), ...accountMistakes];
  if (mistakes.length > 0)
    throw new Refusal('invalid', 'The properties have mistakes.', {
      mistakes,
      details: { report: refusedReport(report, secrets) },
    });
  return { input, report, notes, secrets };
}

const never = async () => false;

const namesOf = (properties: readonly GivenProperty[]) => properties.map(({ name }) => name);

function mistakesOf(account: string, input: unknown): readonly Mistake[] {
  try {
    resolveAccount(account, input);
    return [];
  } catch (error) {
    if (error instanceof Refusal && error.mistakes) return error.mistakes;
    throw error;
  }
}
