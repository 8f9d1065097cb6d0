/** Bytes that grow; writes the parts of Protobuf that state is made of, without a message object an entry. */
export class ByteWriter {
  #buffer = Buffer.allocUnsafe(256);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** A length-delimited field: bytes, text or a message. */
  field(number: number, bytes: Uint8Array): void {
    this.varint((number << 3) | 2);
    this.varint(bytes.length);
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#size);
    this.#size += bytes.length;
  }

  text(number: number, text: string): void {
    if (text !== "") this.field(number, Buffer.from(text, "utf8"));
  }

  /** A field of type int64 or bool; nothing for zero, which is the default. */
  integer(number: number, value: number): void {
    if (value === 0) return;
    this.varint(number << 3);
    this.varint(value);
  }

  /** @param value - safe integer; a negative one takes ten bytes, as in Protobuf. */
  varint(value: number): void {
    this.#reserve(10);
    if (value < 0) return this.#negative(BigInt.asUintN(64, BigInt(value)));
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#size++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#size++] = rest;
  }

  #negative(value: bigint): void {
    let rest = value;
    for (; rest >= 0x80n; rest >>= 7n) this.#buffer[this.#size++] = Number(rest & 0x7fn) | 0x80;
    this.#buffer[this.#size++] = Number(rest);
  }

  /** What was written; later writes start anew. */
  take(): Uint8Array {
    const bytes = this.#buffer.subarray(0, this.#size);
    this.#buffer = Buffer.allocUnsafe(256);
    this.#size = 0;
    return bytes;
  }

  /** Appends what another one holds as a message field and empties that one. */
  nest(number: number, inner: ByteWriter): void {
    this.field(number, inner.#buffer.subarray(0, inner.#size));
    inner.#size = 0;
  }

  #reserve(bytes: number): void {
    if (this.#size + bytes <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#size + bytes));
    this.#buffer.copy(grown, 0, 0, this.#size);
    this.#buffer = grown;
  }
}
