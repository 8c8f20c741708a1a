import type { components } from '../../api/openapi.d.ts';
import type { Json } from '../../parts/draft.ts';
import { SelectField, TextField } from '../../parts/field.tsx';
import { GraphDetails } from './graph-details.tsx';
import { defaultPorts } from './providers.ts';
import { SecretValue, type TypedSecrets } from './secret-value.tsx';
import { SendingFields } from './sending-fields.tsx';
import { ServerDetails } from './server-details.tsx';
import { TlsFields } from './tls-fields.tsx';
import { type Side, secretNameOf, stepHints } from './verification.ts';

type Verification = components['schemas']['Verification'];

export interface EndFormProps extends TypedSecrets {
  readonly side: Side;
  readonly account: string;
  /** Of what was tried last: its hints stand beside the fields that they are about. */
  readonly verification: Verification | undefined;
  /** User and password are those of the other side. */
  readonly sameSignIn?: boolean;
}

const protocols: Readonly<Record<Side, readonly { readonly value: string; readonly name: string }[]>> = {
  transport: [
    { value: '', name: 'It does not send' },
    { value: 'smtp', name: 'SMTP (STARTTLS)' },
    { value: 'smtps', name: 'SMTPS (TLS from the start)' },
    { value: 'imap', name: 'IMAP: put into a folder' },
    { value: 'imaps', name: 'IMAPS: put into a folder' },
    { value: 'graph', name: 'Microsoft Graph' },
    { value: 'sink', name: 'Sink: nothing is sent, for tests' },
  ],
  store: [
    { value: '', name: 'It does not import' },
    { value: 'imap', name: 'IMAP (STARTTLS)' },
    { value: 'imaps', name: 'IMAPS (TLS from the start)' },
    { value: 'pop3', name: 'POP3 (STLS)' },
    { value: 'pop3s', name: 'POP3S (TLS from the start)' },
    { value: 'graph', name: 'Microsoft Graph' },
  ],
};

const signIns = [
  { value: 'password', name: 'User and password' },
  { value: 'oauth2', name: 'OAuth 2 with an app of Entra ID' },
  { value: 'none', name: 'None' },
] as const;

/** How an account sends, or where it fetches. */
export function EndForm(props: EndFormProps) {
  const { side, draft, verification } = props;
  const protocol = draft.text(`/${side}/protocol`);
  const hints = stepHints(side, verification);
  const choose = (value: string) => {
    const changed = { [`/${side}`]: emptyEnd(props, value) };
    if (side === 'transport' || isAlike(protocol, value)) return draft.setAll(changed);
    // What one protocol does with an original, another one may not be able to: what is usual there stands again.
    const rule = { '/import/markRead': undefined, '/import/deleteMode': undefined, '/import/moveTo': null };
    return draft.setAll({ ...changed, ...rule });
  };
  return (
    <fieldset>
      <legend>{side === 'transport' ? 'Sending' : 'Importing'}</legend>
      <SelectField
        label={side === 'transport' ? 'Sends by' : 'Imports by'}
        pointer={`/${side}/protocol`}
        value={protocol}
        options={protocols[side]}
        onChange={choose}
        error={hints.protocol}
      />
      {protocol === 'graph' && <GraphFields {...props} />}
      {protocol !== '' && protocol !== 'graph' && protocol !== 'sink' && <ServerFields {...props} />}
    </fieldset>
  );
}

/** The same protocol, with TLS from the start or without. */
const isAlike = (one: string, other: string) => one.replace(/s$/, '') === other.replace(/s$/, '');

/** Fields of a server that each protocol has; what else there is belongs to one protocol, and is refused by another. */
const ofEveryServer = ['host', 'auth', 'tls', 'connectionTimeout', 'timeout'] as const;

/** What a side begins with; server and user stay where the protocol alone changes. */
function emptyEnd({ side, draft, account }: EndFormProps, protocol: string): Json | undefined {
  if (protocol === '') return undefined;
  if (protocol === 'sink') return { protocol };
  if (protocol === 'graph') {
    const secret = `${account || 'account'}-client-secret`;
    return { protocol, userId: '', credential: { type: 'clientSecret', tenantId: '', clientId: '', secret } };
  }
  const shared = ofEveryServer.flatMap((name) => {
    const before = draft.get(`/${side}/${name}`);
    return before === undefined ? [] : [[name, before] as const];
  });
  const all = isAlike(draft.text(`/${side}/protocol`), protocol) ? draft.get(`/${side}`) : undefined;
  const kept = typeof all === 'object' && all !== null && !Array.isArray(all) ? all : Object.fromEntries(shared);
  const port = defaultPorts[protocol];
  return { host: '', ...kept, protocol, ...(port === undefined ? {} : { port }) };
}

function ServerFields(props: EndFormProps) {
  const { side, draft, verification } = props;
  const hints = stepHints(side, verification);
  return (
    <>
      <div class="columns">
        <TextField
          label="Host"
          pointer={`/${side}/host`}
          value={draft.text(`/${side}/host`)}
          onChange={(value) => draft.set(`/${side}/host`, value.trim())}
          error={hints.host}
          required
        />
        <TextField
          label="Port"
          type="number"
          pointer={`/${side}/port`}
          value={draft.text(`/${side}/port`)}
          onChange={(value) => draft.set(`/${side}/port`, value === '' ? undefined : Number(value))}
          error={hints.port}
        />
      </div>
      <TlsFields side={side} draft={draft} error={hints.tls} />
      {!props.sameSignIn && <SignInFields {...props} />}
      {side === 'transport' && <SendingFields draft={draft} />}
      <ServerDetails side={side} draft={draft} />
    </>
  );
}

function SignInFields(props: EndFormProps) {
  const { side, draft, verification } = props;
  const hints = stepHints(side, verification);
  const signIn = draft.text(`/${side}/auth/type`) || 'none';
  const auth = signIns.find(({ value }) => value === signIn)?.value ?? 'none';
  return (
    <>
      <SelectField
        label="Sign-in"
        pointer={`/${side}/auth`}
        value={auth}
        options={signIns}
        onChange={(value) => draft.set(`/${side}/auth`, emptyAuth(props, value))}
      />
      {auth !== 'none' && (
        <TextField
          label="User"
          pointer={`/${side}/auth/user`}
          value={draft.text(`/${side}/auth/user`)}
          onChange={(value) => draft.set(`/${side}/auth/user`, value)}
          error={auth === 'oauth2' ? undefined : hints.user}
        />
      )}
      {auth === 'password' && (
        <SecretValue
          {...props}
          pointer={`/${side}/auth/secret`}
          label="Password"
          endLabel="The password ends"
          error={hints.secret}
        />
      )}
      {auth === 'oauth2' && <AppFields {...props} at={`/${side}/auth/credential`} error={hints.secret} />}
    </>
  );
}

function emptyAuth({ side, draft, account }: EndFormProps, type: string): Json {
  if (type === 'none') return { type };
  const user = draft.text(`/${side}/auth/user`);
  if (type === 'password') return { type, user, secret: secretNameOf(account, draft.text(`/${side}/protocol`)) };
  const secret = `${account || 'account'}-client-secret`;
  return { type, user, credential: { type: 'clientSecret', tenantId: '', clientId: '', secret } };
}

function GraphFields(props: EndFormProps) {
  const { side, draft, verification } = props;
  const hints = stepHints(side, verification);
  return (
    <>
      <TextField
        label="Mailbox"
        pointer={`/${side}/userId`}
        value={draft.text(`/${side}/userId`)}
        onChange={(value) => draft.set(`/${side}/userId`, value.trim())}
        hint="Its address, or the object id of its user."
        error={hints.user ?? hints.host}
      />
      <AppFields {...props} at={`/${side}/credential`} error={hints.secret} />
      <GraphDetails side={side} draft={draft} />
    </>
  );
}

const credentialTypes = [
  { value: 'clientSecret', name: 'Client secret' },
  { value: 'certificate', name: 'Certificate' },
  { value: 'managedIdentity', name: 'Managed identity of this app' },
] as const;

/** How the app signs in to Entra ID. */
function AppFields(props: EndFormProps & { readonly at: string; readonly error: string | undefined }) {
  const { draft, at, account, error } = props;
  const type = credentialTypes.find(({ value }) => value === draft.text(`${at}/type`))?.value ?? 'clientSecret';
  const own = type !== 'managedIdentity';
  const secret = `${account || 'account'}-client-secret`;
  return (
    <>
      <SelectField
        label="Proof of the app"
        pointer={`${at}/type`}
        value={type}
        options={credentialTypes}
        onChange={(value) =>
          draft.set(
            at,
            value === 'managedIdentity'
              ? { type: value }
              : { type: value, tenantId: draft.text(`${at}/tenantId`), clientId: draft.text(`${at}/clientId`), secret },
          )
        }
        hint="docs/app-registration.md says which permissions the app needs."
        error={own ? undefined : error}
      />
      {own && (
        <div class="columns">
          <TextField
            label="Tenant"
            pointer={`${at}/tenantId`}
            value={draft.text(`${at}/tenantId`)}
            onChange={(value) => draft.set(`${at}/tenantId`, value.trim())}
            hint="Directory (tenant) id, or a domain of it."
          />
          <TextField
            label="Client id"
            pointer={`${at}/clientId`}
            value={draft.text(`${at}/clientId`)}
            onChange={(value) => draft.set(`${at}/clientId`, value.trim())}
            hint="Application (client) id."
          />
        </div>
      )}
      {!own && (
        <TextField
          label="Client id of the identity"
          pointer={`${at}/clientId`}
          value={draft.text(`${at}/clientId`)}
          onChange={(value) => draft.set(`${at}/clientId`, value.trim() || undefined)}
          hint="Of a user-assigned identity. Empty: the app's own."
        />
      )}
      {own && (
        <SecretValue
          {...props}
          pointer={`${at}/secret`}
          label={type === 'certificate' ? 'Certificate with key (PEM, or PFX in base64)' : 'Client secret'}
          endLabel={type === 'certificate' ? 'The certificate ends' : 'The client secret ends'}
          error={error}
        />
      )}
    </>
  );
}
