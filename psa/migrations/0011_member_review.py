"""What the daily look at members and statuses found."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("psa", "0010_ticket_link_merged_into"),
        migrations.swappable_dependency(settings.PSA_TENANT_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="membermapping",
            name="member_left_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="statusrule",
            name="closes",
            field=models.BooleanField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="statusrule",
            name="checked_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name="MemberReview",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("due_at", models.DateTimeField()),
                ("checked_at", models.DateTimeField(blank=True, null=True)),
                ("known", models.JSONField(blank=True, default=dict)),
                ("news", models.JSONField(blank=True, default=list)),
                (
                    "connection",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="member_review",
                        to="psa.connection",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.PSA_TENANT_MODEL,
                    ),
                ),
            ],
            options={"ordering": ["connection_id"]},
        ),
    ]
