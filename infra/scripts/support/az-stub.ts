import { existsSync, readFileSync } from 'node:fs';
import { jmesPath } from './jmes-path.ts';

export interface Credential {
  readonly keyId: string;
  readonly displayName: string;
  readonly endDateTime: string;
}

export interface App {
  readonly appId: string;
  readonly displayName: string;
  passwords: readonly Credential[];
  keys: readonly Credential[];
}

export interface Principal {
  readonly id: string;
  readonly appId: string;
  readonly servicePrincipalType: string;
  readonly appRoles: readonly { readonly id: string; readonly value: string }[];
}

export interface Assignment {
  readonly id: string;
  readonly principalId: string;
  readonly resourceId: string;
  readonly appRoleId: string;
}

export interface StoredSecret {
  readonly value: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly expires: string;
}

/** A call of `az`, and whether it is one that writes. */
export interface AzCall {
  readonly args: readonly string[];
  readonly writes: boolean;
}

export interface AzAnswer {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

class AzError extends Error {}

/** Options of each command (Microsoft Learn, "Azure CLI reference"); any other is refused, as az does. */
const options: Readonly<Record<string, readonly string[]>> = {
  'account show': [],
  'cloud show': [],
  'ad app list': ['filter'],
  'ad app create': ['display-name', 'sign-in-audience'],
  'ad app credential list': ['id', 'cert'],
  'ad app credential reset': ['id', 'append', 'years', 'display-name', 'cert', 'keyvault'],
  'ad app credential delete': ['id', 'cert', 'key-id'],
  'ad sp show': ['id'],
  'ad sp list': ['filter'],
  'ad sp create': ['id'],
  'keyvault secret show': ['vault-name', 'name'],
  'keyvault secret set': ['vault-name', 'name', 'file', 'encoding', 'expires', 'tags'],
  'keyvault certificate show': ['vault-name', 'name'],
  'keyvault certificate create': ['vault-name', 'name', 'policy'],
  rest: ['method', 'url', 'headers', 'body'],
};
const everywhere = ['query', 'output', 'only-show-errors'];

const quoted = (text: string): string => /'([^']*)'/.exec(text)?.[1] ?? '';

/** An `az` for tests: as much of Entra ID, Microsoft Graph and Key Vault as the scripts use. */
export class AzStub {
  readonly calls: AzCall[] = [];
  readonly apps: App[] = [];
  readonly assignments: Assignment[] = [];
  readonly secrets: Record<string, StoredSecret> = {};
  readonly certificates: Record<string, { readonly x509ThumbprintHex: string; readonly policy: unknown }> = {};
  readonly principals: Principal[];
  /** How often what was just made is not found yet. */
  lag = 0;
  /** The vault takes nothing. */
  refuseSecrets = false;
  #serial = 0;

  constructor(principals: readonly Principal[]) {
    this.principals = [...principals];
  }

  run(args: readonly string[]): AzAnswer {
    const first = args.findIndex((arg) => arg.startsWith('--'));
    const command = args.slice(0, first < 0 ? args.length : first).join(' ');
    const given = optionsIn(first < 0 ? [] : args.slice(first));
    const reads = command === 'rest' ? given.get('method')?.[0] === 'get' : /(show|list)$/.test(command);
    this.calls.push({ args, writes: !reads });
    try {
      const known = options[command];
      if (!known) throw new AzError(`'${command}' is misspelled or not recognized by the system.`);
      for (const name of given.keys()) {
        if (![...known, ...everywhere].includes(name)) throw new AzError(`unrecognized arguments: --${name}`);
      }
      const answer = this.#answer(command, given);
      const query = given.get('query')?.[0];
      const result = query === undefined ? answer : jmesPath(answer, query);
      return { status: 0, stdout: printed(result, given.get('output')?.[0]), stderr: '' };
    } catch (error) {
      if (!(error instanceof AzError)) throw error;
      return { status: command.endsWith('show') ? 3 : 1, stdout: '', stderr: `ERROR: ${error.message}\n` };
    }
  }

  #answer(command: string, given: ReadonlyMap<string, readonly string[]>): unknown {
    const option = (name: string): string => given.get(name)?.[0] ?? '';
    switch (command) {
      case 'account show':
        return { tenantId: '11111111-1111-4111-8111-111111111111' };
      case 'cloud show':
        return { endpoints: { microsoftGraphResourceId: 'https://graph.microsoft.com/' } };
      case 'ad app list':
        return this.apps.filter(({ displayName }) => displayName === quoted(option('filter')));
      case 'ad app create': {
        const app: App = { appId: this.#id(), displayName: option('display-name'), passwords: [], keys: [] };
        this.apps.push(app);
        return app;
      }
      case 'ad sp list':
        return this.principals.filter(({ appId }) => appId === quoted(option('filter')));
      case 'ad sp show':
        return this.#found(
          this.principals.find(({ id, appId }) => id === option('id') || appId === option('id')),
          'ResourceNotFound',
          option('id'),
        );
      case 'ad sp create': {
        this.#settle(option('id'));
        const { appId } = this.#app(option('id'));
        const principal = { id: this.#id(), appId, servicePrincipalType: 'Application', appRoles: [] };
        this.principals.push(principal);
        return principal;
      }
      case 'ad app credential list':
        return given.has('cert') ? this.#app(option('id')).keys : this.#app(option('id')).passwords;
      case 'ad app credential reset':
        return this.#reset(this.#app(option('id')), given);
      case 'ad app credential delete': {
        const app = this.#app(option('id'));
        const others = (each: Credential) => each.keyId !== option('key-id');
        if (given.has('cert')) app.keys = app.keys.filter(others);
        else app.passwords = app.passwords.filter(others);
        return undefined;
      }
      case 'keyvault secret show':
        return this.#found(this.secrets[option('name')], 'SecretNotFound', option('name'));
      case 'keyvault secret set':
        return this.#setSecret(option, given.get('tags') ?? []);
      case 'keyvault certificate show':
        return this.#found(this.certificates[option('name')], 'CertificateNotFound', option('name'));
      case 'keyvault certificate create': {
        const policy: unknown = JSON.parse(readFileSync(option('policy').replace(/^@/, ''), 'utf8'));
        this.certificates[option('name')] = { x509ThumbprintHex: `AB${this.#id().slice(-6)}`, policy };
        return undefined;
      }
      default:
        return this.#rest(option);
    }
  }

  #reset(app: App, given: ReadonlyMap<string, readonly string[]>): unknown {
    this.#settle(app.appId);
    const [label = ''] = given.get('display-name') ?? [];
    const end = new Date(Date.UTC(2026 + Number(given.get('years')?.[0]), 10, 26));
    const credential = {
      keyId: this.#id(),
      displayName: label,
      endDateTime: end.toISOString().replace('.000Z', 'Z'),
    };
    if (!given.has('append')) app.passwords = app.keys = [];
    const [certificate] = given.get('cert') ?? [];
    if (certificate === undefined) {
      app.passwords = [...app.passwords, credential];
      return { appId: app.appId, password: `stub~secret~of~${credential.keyId}` };
    }
    this.#found(this.certificates[certificate], 'CertificateNotFound', certificate);
    app.keys = [...app.keys, credential];
    return { appId: app.appId, password: null };
  }

  #setSecret(option: (name: string) => string, tags: readonly string[]): unknown {
    if (this.refuseSecrets) throw new AzError('(Forbidden) Caller is not authorized to perform action');
    if (!existsSync(option('file'))) throw new AzError(`No such file: ${option('file')}`);
    const value = readFileSync(option('file'), 'utf8');
    const pairs = Object.fromEntries(tags.map((tag) => tag.split('=')));
    this.secrets[option('name')] = { value, tags: pairs, expires: option('expires') };
    return { value };
  }

  #rest(option: (name: string) => string): unknown {
    const principalId = /servicePrincipals\/([^/]+)\/appRoleAssignments$/.exec(option('url'))?.[1];
    if (!principalId) throw new AzError(`Not Found: ${option('url')}`);
    if (option('method') === 'get')
      return { value: this.assignments.filter((each) => each.principalId === principalId) };
    const body: Omit<Assignment, 'id'> = JSON.parse(option('body'));
    if (body.principalId !== principalId) throw new AzError('Bad Request');
    this.assignments.push({ id: this.#id(), ...body });
    return undefined;
  }

  #app(id: string): App {
    return this.#found(
      this.apps.find(({ appId }) => appId === id),
      'ResourceNotFound',
      id,
    );
  }

  #found<T>(value: T | undefined, code: string, name: string): T {
    if (value === undefined) throw new AzError(`(${code}) ${name} was not found`);
    return value;
  }

  #settle(what: string): void {
    if (this.lag === 0) return;
    this.lag -= 1;
    throw new AzError(`Resource '${what}' does not exist or one of its reference-property objects are not present.`);
  }

  #id(): string {
    this.#serial += 1;
    return `00000000-0000-4000-8000-${String(this.#serial).padStart(12, '0')}`;
  }
}

function optionsIn(args: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const given = new Map<string, string[]>();
  let values: string[] = [];
  for (const arg of args) {
    if (arg.startsWith('--')) {
      values = [];
      given.set(arg.slice(2), values);
    } else {
      values.push(arg);
    }
  }
  return given;
}

function printed(result: unknown, output: string | undefined): string {
  if (output === 'none') return '';
  if (output !== 'tsv') return `${JSON.stringify(result ?? null, null, 2)}\n`;
  return result === undefined ? '' : `${result === null ? 'None' : String(result)}\n`;
}
