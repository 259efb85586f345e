/** What is wrong in a configuration: where, which key, and the rule. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly code = 'configuration_invalid';
}
