/** Small mails in a row after which large ones are no longer reckoned with. */
const forgetAfter = 20;

/**
 * How many contents a session asks for at a time. Those of most mails are read at once, and may use every place that the
 * session has. One that is too large to be held keeps its place until its reader has come to it, and the reader may want
 * something else of the session first: so one place is always left free of those, and another is for the mail that is read.
 */
export class ContentPlaces {
  readonly #places: number;
  #waiting = 0;
  /** Contents in a row that were read at once, since a large one found no place to wait. */
  #heldInARow = Number.POSITIVE_INFINITY;

  /** `places`: requests of the session at a time. */
  constructor(places: number) {
    this.#places = places;
  }

  /** Contents under way at a time, of one fetch. */
  get atOnce(): number {
    return this.#heldInARow < forgetAfter ? Math.max(1, this.#places - 1) : this.#places;
  }

  /** Whether a large mail may wait for its reader. False: it is to give its place back, and is asked for when it is read. */
  wait(): boolean {
    if (this.#waiting < this.#places - 2) {
      this.#waiting += 1;
      return true;
    }
    this.#heldInARow = 0;
    return false;
  }

  /** A content was read at once. */
  held(): void {
    this.#heldInARow += 1;
  }

  /** A large mail that waited is read now, or by nobody. */
  waited(): void {
    this.#waiting -= 1;
  }
}
