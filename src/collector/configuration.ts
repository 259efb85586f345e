/**
 * The configuration of a running collector: its version, which fields a change really changed, and the snapshot that
 * is put back when applying fails.
 */
import { isDeepStrictEqual } from 'node:util';
import { FaultError, fault } from '../protocol/fault.ts';
import type { CollectorDefinition, ConfigurationValues } from './define.ts';
import { type CollectorParams, type CollectorReply, invalidParams } from './params.ts';

export class CollectorConfiguration {
  /** Counts the changes, from 1. */
  version = 1;
  readonly #definition: CollectorDefinition;
  readonly #changed: (version: number, fields: readonly string[]) => void;
  #given: ConfigurationValues = {};

  constructor(definition: CollectorDefinition, changed: (version: number, fields: readonly string[]) => void) {
    this.#definition = definition;
    this.#changed = changed;
  }

  /** Checks, applies, and rolls back what could not be applied. A refused change leaves everything as it was. */
  async update(params: CollectorParams<'update_config'>): Promise<CollectorReply<'update_config'>> {
    const { changes, validate_only, rollback_on_failure } = params;
    const before = this.#snapshot();
    try {
      await this.#configure(changes, true);
    } catch (error) {
      if (error instanceof FaultError) throw error;
      throw invalidParams('update_config', error, { version: this.version });
    }
    let fields: readonly string[] = [];
    if (!validate_only) {
      try {
        await this.#configure(changes, false);
      } catch (error) {
        throw await this.#failed(error, before, rollback_on_failure);
      }
      fields = this.#advance(before, changes);
    }
    return { version: this.version, changed_fields: [...fields], restarted: false, validated: true };
  }

  /** Counts what `apply`, which is given these values, changes. */
  async track(values: ConfigurationValues, apply: () => Promise<void>): Promise<void> {
    const before = this.#snapshot();
    await apply();
    this.#advance(before, values);
  }

  async #configure(changes: ConfigurationValues, validateOnly: boolean): Promise<void> {
    if (this.#definition.configure === undefined)
      throw new FaultError(
        fault('unsupported_operation', `Collectors of type ${this.#definition.type} have nothing to configure.`),
      );
    await this.#definition.configure(changes, validateOnly);
  }

  async #failed(error: unknown, before: ConfigurationValues, rollBack: boolean): Promise<FaultError> {
    let outcome = 'The configuration may be changed in part.';
    if (rollBack)
      outcome = await this.#configure(before, false).then(
        () => 'The configuration before was put back.',
        (again: Error) => `The configuration before could not be put back: ${again.message}.`,
      );
    this.#advance(before, {});
    const message = error instanceof Error ? error.message : String(error);
    return new FaultError(
      fault('handler_failed', `update_config could not be applied: ${message}. ${outcome}`, { version: this.version }),
    );
  }

  /** A copy, since a collector may change its own in place. */
  #snapshot(): ConfigurationValues {
    return structuredClone(this.#definition.configuration?.() ?? this.#given);
  }

  #advance(before: ConfigurationValues, given: ConfigurationValues): readonly string[] {
    this.#given = { ...this.#given, ...given };
    const after = this.#snapshot();
    const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
      (field) => !isDeepStrictEqual(before[field], after[field]),
    );
    if (fields.length > 0) this.#changed(++this.version, fields);
    return fields;
  }
}
