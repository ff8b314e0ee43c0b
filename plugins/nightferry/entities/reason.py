"""The reason codes of the record.

People and programs build on these words: a code is never renamed and never given another meaning. Every one is
explained in docs/runbook.md, with what to do about it; a test holds the two together.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why something was decided, or why it failed."""

    # Decisions
    NEW_MODEL = "new_model"
    NEW_SOURCE = "new_source"
    NEW_MODEL_AND_SOURCE = "new_model_and_source"
    NEW_PLATFORM = "new_platform"
    NEW_PACKAGES = "new_packages"
    FIRST_RELEASE = "first_release"
    FORCED = "forced"
    NEW_SETTINGS = "new_settings"
    UNCHANGED = "unchanged"
    SCHEDULE_MOVED = "schedule_moved"
    HELD = "held"
    QUARANTINED = "quarantined"
    JOINED = "joined"

    # Results
    SUCCEEDED = "succeeded"
    UPSTREAM_FAILED = "upstream_failed"
    INTERRUPTED = "interrupted"
    INTERNAL_ERROR = "internal_error"
    ROLLED_OUT = "rolled_out"
    CANARY_SHIFTED = "canary_shifted"
    CANARY_PASSED = "canary_passed"
    VERIFIED = "verified"
    RELEASED = "released"
    WITHDRAWN = "withdrawn"
    ROLLED_BACK = "rolled_back"
    QUARANTINE_LIFTED = "quarantine_lifted"
    RESUMED = "resumed"
    DRIFTED = "drifted"
    DRIFT_GONE = "drift_gone"
    HEALED = "healed"
    BLAMED = "blamed"
    NOT_BLAMED = "not_blamed"
    RESULT_MISSING = "result_missing"
    DECISION_OUTDATED = "decision_outdated"
    PRUNED = "pruned"
    NOT_PRUNED = "not_pruned"
    REHEARSED = "rehearsed"
    REHEARSAL_FAILED = "rehearsal_failed"
    REHEARSAL_UNSEEN = "rehearsal_unseen"
    DRILL_PASSED = "drill_passed"
    DRILL_FAILED = "drill_failed"
    PREVIEWING = "previewing"
    PREVIEWED = "previewed"
    PREVIEW_ENDED = "preview_ended"

    # Service file and request
    SERVICE_FILE_INVALID = "service_file_invalid"
    SERVICE_DUPLICATED = "service_duplicated"
    SERVICE_NAME_TAKEN = "service_name_taken"
    SERVICE_UNKNOWN = "service_unknown"
    REQUEST_INVALID = "request_invalid"
    SETTING_MISSING = "setting_missing"
    SETTING_INVALID = "setting_invalid"

    # Models
    MODEL_REPOSITORY_MISSING = "model_repository_missing"
    MODEL_NONE = "model_none"
    MODEL_UNKNOWN = "model_unknown"
    MODEL_INCOMPLETE = "model_incomplete"
    MODEL_NOT_FOUND = "model_not_found"
    MODEL_EXAMPLES_WRONG = "model_examples_wrong"
    MODEL_MANIFEST_INVALID = "model_manifest_invalid"
    MODEL_EXISTS = "model_exists"
    MODEL_CHECKSUM_WRONG = "model_checksum_wrong"
    MODEL_OVERWRITTEN = "model_overwritten"
    MODEL_NOT_ONNX = "model_not_onnx"
    MODEL_SIGNATURE_WRONG = "model_signature_wrong"
    MODEL_LABELS_WRONG = "model_labels_wrong"
    MODEL_CREATED_IN_FUTURE = "model_created_in_future"
    MODEL_TOO_MANY_FILES = "model_too_many_files"
    MODEL_NOT_SERVABLE = "model_not_servable"
    MODEL_SCORES_WRONG = "model_scores_wrong"
    MODEL_ROWS_DEPENDENT = "model_rows_dependent"
    MODEL_GOLDEN_WRONG = "model_golden_wrong"
    GATE_FAILED = "gate_failed"

    # Source
    SOURCE_REPOSITORY_UNAVAILABLE = "source_repository_unavailable"
    SOURCE_REPOSITORY_DENIED = "source_repository_denied"
    SOURCE_REF_UNKNOWN = "source_ref_unknown"
    SOURCE_PATH_MISSING = "source_path_missing"
    SOURCE_INCOMPLETE = "source_incomplete"

    # Apps
    APP_CONTRACT_INVALID = "app_contract_invalid"
    APP_REQUIREMENTS_WRONG = "app_requirements_wrong"
    LOCK_MISSING = "lock_missing"

    # Image
    IMAGE_BUILD_FAILED = "image_build_failed"
    IMAGE_TESTS_FAILED = "image_tests_failed"
    IMAGE_START_FAILED = "image_start_failed"
    IMAGE_CONTRACT_BROKEN = "image_contract_broken"
    IMAGE_GOLDEN_WRONG = "image_golden_wrong"
    IMAGE_UNKNOWN = "image_unknown"

    # Cluster
    ROLLOUT_NOT_READY = "rollout_not_ready"
    ROLLOUT_REFUSED = "rollout_refused"
    ROLLOUT_NO_CAPACITY = "rollout_no_capacity"
    ROLLOUT_SUPERSEDED = "rollout_superseded"
    ROLLOUT_UNDER_WAY = "rollout_under_way"
    ROLLBACK_IMPOSSIBLE = "rollback_impossible"
    GATEWAY_MISSING = "gateway_missing"
    TRIAL_BUSY = "trial_busy"
    PREVIEW_FULL = "preview_full"
    GATE_FLIPS = "gate_flips"
    GATE_P95 = "gate_p95"
    VERIFY_WRONG_RELEASE = "verify_wrong_release"
    VERIFY_GOLDEN_WRONG = "verify_golden_wrong"
    VERIFY_UNREACHABLE = "verify_unreachable"
    FIGURES_WRONG = "figures_wrong"
    NO_FIGURES = "no_figures"

    # Outside systems
    FIGURES_UNAVAILABLE = "figures_unavailable"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    STORAGE_DENIED = "storage_denied"
    REGISTRY_UNAVAILABLE = "registry_unavailable"
    REGISTRY_DENIED = "registry_denied"
    REGISTRY_DELETE_DENIED = "registry_delete_denied"
    BUILDER_UNAVAILABLE = "builder_unavailable"
    DOCKER_UNAVAILABLE = "docker_unavailable"
    CLUSTER_UNAVAILABLE = "cluster_unavailable"
    CLUSTER_DENIED = "cluster_denied"
    AIRFLOW_UNAVAILABLE = "airflow_unavailable"
    AIRFLOW_DENIED = "airflow_denied"
    DISK_FULL = "disk_full"
    SANDBOX_FAILED = "sandbox_failed"

    # Ledger
    LEDGER_BROKEN = "ledger_broken"
    LEDGER_BEHIND = "ledger_behind"
    LEDGER_BUSY = "ledger_busy"
    LEDGER_MISSING = "ledger_missing"
    LEDGER_NEWER = "ledger_newer"
    RELEASE_UNKNOWN = "release_unknown"
    PREVIEW_UNKNOWN = "preview_unknown"
