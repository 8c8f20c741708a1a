import type { HttpsAnswer } from '../https-server.ts';

/** A refusal in Key Vault's shape: `{ error: { code, message, innererror? } }`. */
export class VaultError extends Error {
  override readonly name = 'VaultError';
  readonly status: number;
  readonly code: string;
  readonly inner: string | undefined;

  constructor(status: number, code: string, message: string, inner?: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.inner = inner;
  }

  toAnswer(): HttpsAnswer {
    const innererror = this.inner === undefined ? {} : { innererror: { code: this.inner } };
    return { status: this.status, body: { error: { code: this.code, message: this.message, ...innererror } } };
  }
}

export const badParameter = (message: string) => new VaultError(400, 'BadParameter', message);
export const notFound = (name: string) =>
  new VaultError(404, 'SecretNotFound', `A secret with (name/id) ${name} was not found in this key vault.`);
