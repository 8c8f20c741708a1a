/**
 * How many contents a session asks for at a time. Those of most mails are read at once, and may use every place that the
 * session has. One that is too large to be held keeps its place until its reader has come to it, and the reader may want
 * something else of the session first: so one place is always left free of those, and another is for the mail that is read.
 */
export class ContentPlaces {
  readonly #places: number;
  #waiting = 0;
  #hasLarge = false;

  /** `places`: requests of the session at a time. */
  constructor(places: number) {
    this.#places = places;
  }

  /** Contents under way at a time, of one fetch. */
  get atOnce(): number {
    return this.#hasLarge ? Math.max(1, this.#places - 1) : this.#places;
  }

  /** Whether a large mail may wait for its reader. False: it is to give its place back, and is asked for when it is read. */
  wait(): boolean {
    if (this.#waiting < this.#places - 2) {
      this.#waiting += 1;
      return true;
    }
    this.#hasLarge = true;
    return false;
  }

  /** A large mail that waited is read now, or by nobody. */
  waited(): void {
    this.#waiting -= 1;
  }
}
