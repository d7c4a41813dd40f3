// What the command line does to a data directory that no broker uses.

export { backupData, makeBackupTarget, type BackupReport } from './backup-data.ts';
export { checkData, type CheckProgress, type DataFinding, type DataReport, type ShardReport } from './check-data.ts';
export { compactData, type CompactReport } from './compact-data.ts';
