import type { Acquired } from './acquired.ts';

/** Sizes of buffers, in bytes. */
export interface MemoryShareLimits {
  /** What the buffers of all users have together, unless there are more users than fit with `least`: those have that. */
  readonly bytes: number;
  /** Of one buffer, where there are few users. */
  readonly most: number;
  /** Of one buffer, however many users there are. */
  readonly least: number;
}

interface User {
  readonly buffers: number;
}

/** The buffers of one user. */
export interface Share extends Acquired {
  /** Bytes that the next of them may have, with as many users as there are now: `least` times a power of two, up to `most`. */
  readonly size: number;
  release(): void;
}

/**
 * Memory of the process for buffers of large mail. One that passes alone has large buffers, and few requests; the more
 * pass at one time, the smaller the buffers of the next. Nobody waits: one whose server is slow holds up no other.
 */
export class MemoryShare {
  readonly #limits: MemoryShareLimits;
  /** Buffers that each of the users has at one time. */
  readonly #users = new Set<User>();
  /** A stream that nobody reads or destroys never says that it has ended: its share ends when it is collected. */
  readonly #dropped = new FinalizationRegistry<User>((user) => this.#users.delete(user));

  constructor(limits: MemoryShareLimits) {
    this.#limits = limits;
  }

  /** A share for whoever begins now. `buffers`: how many it has at one time. */
  acquire(buffers: number): Share {
    const user = { buffers };
    this.#users.add(user);
    const size = () => this.#size();
    const share: Share = {
      get size() {
        return size();
      },
      release: () => {
        this.#users.delete(user);
        this.#dropped.unregister(user);
      },
    };
    this.#dropped.register(share, user, user);
    return share;
  }

  #size(): number {
    const { bytes, most, least } = this.#limits;
    let buffers = 0;
    for (const user of this.#users) buffers += user.buffers;
    let size = most;
    while (size > least && size * buffers > bytes) size /= 2;
    return size;
  }
}
