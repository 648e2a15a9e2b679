"""Indexes of what needs a person, and of the audit of one object."""

from django.db import migrations, models

import psa.json_text


class Migration(migrations.Migration):
    dependencies = [("psa", "0011_member_review")]

    operations = [
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["tenant", "object_type", "object_id"], name="psa_audit_by_object"),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                fields=["tenant", "state"],
                condition=models.Q(held_by="permission"),
                name="psa_delivery_unpermitted",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                fields=["tenant", "state"],
                condition=models.Q(held_by="mapping"),
                name="psa_delivery_unmapped",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                models.F("tenant"),
                psa.json_text.JSONText("problem", "code"),
                condition=models.Q(state="delivered", problem__isnull=False),
                name="psa_delivery_flawed",
            ),
        ),
    ]
