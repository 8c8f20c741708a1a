import type { ServerAuth } from '../../accounts/model.ts';
import type { PlannedStep } from './steps.ts';

/** The step of a verification that signs in, and the connection that the steps after it use. */
export class SignInStep<C> implements PlannedStep {
  readonly step = 'signIn';
  readonly #auth: ServerAuth;
  readonly #open: () => Promise<C>;
  #opened: C | undefined;

  constructor(auth: ServerAuth, open: () => Promise<C>) {
    this.#auth = auth;
    this.#open = open;
  }

  run = async () => {
    this.#opened = await this.#open();
    return this.#auth.type === 'none' ? {} : { detail: `as ${this.#auth.user}` };
  };

  /** Undefined where the sign-in was not reached, or failed. */
  get opened(): C | undefined {
    return this.#opened;
  }

  /** The connection, for a step that comes after. */
  get connection(): C {
    if (this.#opened === undefined) throw new Error('the sign-in comes first');
    return this.#opened;
  }
}
