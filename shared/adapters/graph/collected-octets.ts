/** Pieces that are joined at once: a piece takes some hundred octets itself, and an answer may come octet by octet. */
const piecesJoined = 1_024;

/** Octets that come in pieces of any length, in linear time and in little more memory than they are. */
export class CollectedOctets {
  readonly #joined: Buffer[] = [];
  #pieces: Buffer[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#length += piece.length;
    if (this.#pieces.length < piecesJoined) return;
    this.#joined.push(Buffer.concat(this.#pieces));
    this.#pieces = [];
  }

  /** All of them. */
  bytes(): Buffer {
    return Buffer.concat([...this.#joined, ...this.#pieces]);
  }
}
