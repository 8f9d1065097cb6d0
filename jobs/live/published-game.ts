import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { keyGroupOf } from "../../base/key-group.ts";
import type { SourceGame } from "../../data/source.ts";
import {
  type GameInfo,
  GameInfoSchema,
  type PlayEvent,
  PlayEventSchema,
  type PlayFrame,
  PlayFrameSchema,
} from "../../proto/gen/courtside/v1/play_pb.ts";
import { playsSubject } from "../../proto/subjects.ts";
import type { OrderedPublisher } from "../replay/ordered-publisher.ts";
import { letterKey } from "../replay/resume-point.ts";

/**
 * Corrections that go out together are applied together: a play put in between renumbers all those behind it,
 * up to a whole game of 150 KB. The broker takes messages of 1 MB.
 */
const CORRECTIONS_BYTES = 512 * 1024;

/** Who comes in the middle of a game sends what has been in frames of the replay's size, not play by play. */
const CATCH_UP_BYTES = 32 * 1024;

/** New plays up to which each gets a message of its own, as they happen. */
const LIVE_PLAYS = 12;

interface PublishedPlay {
  readonly revision: number;
  readonly retracted: boolean;
  /** All that it says but for revision and ingest time. */
  readonly content: string;
}

/**
 * What the stream of plays holds of a game, and what is missing there when the feed has another account of it.
 * There is no other memory: whoever starts reads it from the stream.
 */
export class PublishedGame {
  readonly gameId: string;
  readonly subject: string;
  #lastSequence = 0;
  #info: GameInfo | undefined;
  readonly #plays = new Map<number, PublishedPlay>();
  readonly #letters = new Set<string>();
  /** Accounts of plays, corrections included. */
  accounts = 0;

  constructor(gameId: string) {
    this.gameId = gameId;
    this.subject = playsSubject(keyGroupOf(gameId), gameId);
  }

  /** @throws BrokerUnavailableError */
  static async read(publisher: OrderedPublisher, gameId: string): Promise<PublishedGame> {
    const game = new PublishedGame(gameId);
    for (;;) {
      const stored = await publisher.next(game.subject, game.#lastSequence + 1);
      if (stored === undefined) return game;
      game.#apply(fromBinary(PlayFrameSchema, stored.payload), stored.sequence);
    }
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** Plays that have not been taken back. */
  get plays(): number {
    let standing = 0;
    for (const { retracted } of this.#plays.values()) if (!retracted) standing += 1;
    return standing;
  }

  get deadLetters(): number {
    return this.#letters.size;
  }

  /** Frames that make the stream say what the feed says, in the order in which they are to be published. */
  missing({ info, plays, deadLetters }: SourceGame): PlayFrame[] {
    const frames: PlayFrame[] = [];
    const gameInfo = this.#newInfo(info);
    if (gameInfo !== undefined) frames.push(create(PlayFrameSchema, { gameInfo }));
    const letters = deadLetters.filter((letter) => !this.#letters.has(letterKey(letter)));
    if (letters.length > 0) frames.push(create(PlayFrameSchema, { deadLetters: letters }));
    const corrections: PlayEvent[] = [];
    const news: PlayEvent[] = [];
    for (const play of plays) {
      const known = this.#plays.get(play.playNumber);
      if (known === undefined) news.push(play);
      else if (known.retracted || known.content !== contentOf(play))
        corrections.push(create(PlayEventSchema, { ...play, revision: known.revision + 1 }));
    }
    for (const [playNumber, { retracted, revision }] of this.#plays)
      if (playNumber > plays.length && !retracted)
        corrections.push(this.#takenBack(playNumber, revision + 1, plays));
    for (const chunk of chunks(corrections, CORRECTIONS_BYTES)) frames.push(chunk);
    const newsBytes = news.length > LIVE_PLAYS ? CATCH_UP_BYTES : 0;
    for (const chunk of chunks(news, newsBytes)) frames.push(chunk);
    return frames;
  }

  /** Publishes a frame behind what is there. @throws as `OrderedPublisher.publish` */
  async publish(
    publisher: OrderedPublisher,
    frame: PlayFrame,
    message: { readonly ingestTimeMs: number; readonly traceparent: string },
  ): Promise<void> {
    for (const play of frame.plays) play.ingestTimeMs = BigInt(message.ingestTimeMs);
    const sequence = await publisher.publish(this.subject, this.#lastSequence, {
      // Two messages of a game never come behind the same one.
      id: `${this.gameId}/live/${String(this.#lastSequence)}`,
      payload: toBinary(PlayFrameSchema, frame),
      traceparent: message.traceparent,
    });
    this.#apply(frame, sequence);
  }

  #apply(frame: PlayFrame, sequence: number): void {
    this.#lastSequence = sequence;
    const { gameInfo } = frame;
    if (gameInfo !== undefined && gameInfo.revision >= (this.#info?.revision ?? 0))
      this.#info = gameInfo;
    for (const letter of frame.deadLetters) this.#letters.add(letterKey(letter));
    for (const play of frame.plays) {
      if (play.revision <= (this.#plays.get(play.playNumber)?.revision ?? 0)) continue;
      this.accounts += 1;
      this.#plays.set(play.playNumber, {
        revision: play.revision,
        retracted: play.retracted,
        content: contentOf(play),
      });
    }
  }

  #newInfo(info: GameInfo): GameInfo | undefined {
    const known = this.#info;
    if (known === undefined) return create(GameInfoSchema, { ...info, revision: 1 });
    const now = create(GameInfoSchema, { ...info, ...forecastOf(known), revision: 0 });
    if (infoContent({ ...known, revision: 0 }) === infoContent(now)) return undefined;
    return create(GameInfoSchema, { ...now, revision: known.revision + 1 });
  }

  #takenBack(playNumber: number, revision: number, plays: readonly PlayEvent[]): PlayEvent {
    const last = plays.at(-1);
    return create(PlayEventSchema, {
      ...(last && {
        league: last.league,
        season: last.season,
        period: last.period,
        clockRemainingDs: last.clockRemainingDs,
        eventTimeMs: last.eventTimeMs,
        homeScore: last.homeScore,
        awayScore: last.awayScore,
        feed: last.feed,
      }),
      gameId: this.gameId,
      playNumber,
      revision,
      retracted: true,
    });
  }
}

/** What was thought before the game stays as it was told: results that have come in since do not change it. */
function forecastOf(info: GameInfo): Partial<GameInfo> {
  const { homeElo, awayElo, homePregameWinProb } = info;
  const { closingSpreadHome, homeRestDays, awayRestDays } = info;
  return {
    ...(homeElo !== undefined && { homeElo }),
    ...(awayElo !== undefined && { awayElo }),
    ...(homePregameWinProb !== undefined && { homePregameWinProb }),
    ...(closingSpreadHome !== undefined && { closingSpreadHome }),
    ...(homeRestDays !== undefined && { homeRestDays }),
    ...(awayRestDays !== undefined && { awayRestDays }),
  };
}

function contentOf(play: PlayEvent): string {
  const bytes = toBinary(PlayEventSchema, { ...play, revision: 0, ingestTimeMs: 0n });
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

function infoContent(info: GameInfo): string {
  return Buffer.from(toBinary(GameInfoSchema, info)).toString("latin1");
}

/** @param maxBytes - 0 for one play a frame. */
function* chunks(plays: readonly PlayEvent[], maxBytes: number): Iterable<PlayFrame> {
  let chunk: PlayEvent[] = [];
  let bytes = 0;
  for (const play of plays) {
    const size = toBinary(PlayEventSchema, play).length;
    if (chunk.length > 0 && bytes + size > maxBytes) {
      yield create(PlayFrameSchema, { plays: chunk });
      chunk = [];
      bytes = 0;
    }
    chunk.push(play);
    bytes += size;
  }
  if (chunk.length > 0) yield create(PlayFrameSchema, { plays: chunk });
}
