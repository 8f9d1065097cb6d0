import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Role under which the user `reader` asks; see `GRANTS`. */
export const READER_ROLE = "reader";

/** Where `BACKUP … TO File('name')` writes, inside the server's directory. */
export function backupsFolder(dataDir: string): string {
  return join(dataDir, "backups");
}

/**
 * Writes the engine's configuration into `dataDir`: where back-ups may go, and the roles of its one user.
 *
 * @returns path of the file for `--config-file`.
 */
export async function writeServerConfig(dataDir: string): Promise<string> {
  const folder = join(dataDir, "config");
  const backups = backupsFolder(dataDir);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await mkdir(backups, { recursive: true });
  const users = join(folder, "users.xml");
  const config = join(folder, "config.xml");
  await writeFile(users, USERS);
  await writeFile(
    config,
    `<clickhouse>
  <users_config>${escapeXml(users)}</users_config>
  <backups><allowed_path>${escapeXml(backups)}</allowed_path></backups>
</clickhouse>
`,
  );
  return config;
}

/**
 * The user has all rights by one role and few by the other. A reader's session takes the second and, being
 * `readonly`, cannot leave it: writing, files, addresses and other servers are then refused by the engine itself.
 */
const USERS = `<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <roles>
    <admin><grants><query>GRANT ALL ON *.* WITH GRANT OPTION</query></grants></admin>
    <${READER_ROLE}><grants>
      <query>GRANT SHOW, SELECT ON courtside.*</query>
      <query>GRANT SHOW, SELECT ON system.*</query>
      <query>GRANT SHOW, SELECT ON information_schema.*</query>
      <query>GRANT SHOW, SELECT ON INFORMATION_SCHEMA.*</query>
    </grants></${READER_ROLE}>
  </roles>
  <users><default>
    <password></password>
    <networks><ip>::/0</ip></networks>
    <profile>default</profile>
    <quota>default</quota>
    <grants><query>GRANT admin</query><query>GRANT ${READER_ROLE}</query></grants>
  </default></users>
</clickhouse>
`;

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
